// The mapping files that are part of the program: path inside this folder, text. A test says which is missing.
&[
    ("fields.toml", include_str!("fields.toml")),
    ("events/app.toml", include_str!("events/app.toml")),
    ("events/towline.toml", include_str!("events/towline.toml")),
    ("events/tox.toml", include_str!("events/tox.toml")),
    ("events/xmpp.toml", include_str!("events/xmpp.toml")),
    ("privacy/full.toml", include_str!("privacy/full.toml")),
    ("privacy/pseudonymous.toml", include_str!("privacy/pseudonymous.toml")),
    ("privacy/standard.toml", include_str!("privacy/standard.toml")),
    ("privacy/strict.toml", include_str!("privacy/strict.toml")),
    ("schemas/cef.toml", include_str!("schemas/cef.toml")),
    ("sources/prosody.toml", include_str!("sources/prosody.toml")),
    ("sources/tox-app.toml", include_str!("sources/tox-app.toml")),
    ("sources/tox-bootstrapd.toml", include_str!("sources/tox-bootstrapd.toml")),
    ("sources/utox.toml", include_str!("sources/utox.toml")),
]
