//! Which fields say something about the same user, host, address or hash: `related.*` gathers them.

/// Lists that gather what an event's fields say about the same thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Related {
    Hash,
    Hosts,
    Ip,
    User,
}

/// Users: `user.name`, `source.user.name`, `user.target.id`, … and what the chat protocols know people by.
fn is_user(name: &str) -> bool {
    const SETS: &[&str] = &[
        "user",
        "user.changes",
        "user.effective",
        "user.target",
        "source.user",
        "destination.user",
        "client.user",
        "server.user",
    ];
    const OTHERS: &[&str] = &[
        "xmpp.jid",
        "xmpp.target.jid",
        "xmpp.sasl.authzid",
        "tox.self.public_key",
        "tox.peer.public_key",
    ];
    let of_set =
        |(set, leaf): (&str, &str)| SETS.contains(&set) && ["name", "id", "email"].contains(&leaf);
    OTHERS.contains(&name) || name.rsplit_once('.').is_some_and(of_set)
}

/// Hosts: machines and the domains that servers and accounts go by.
fn is_host(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "host.hostname",
        "host.name",
        "user.domain",
        "user.target.domain",
        "source.domain",
        "destination.domain",
        "client.domain",
        "server.domain",
        "url.domain",
        "dns.question.name",
        "xmpp.remote.domain",
    ];
    NAMES.contains(&name)
}

/// Which `related.*` list a field's value belongs to. Addresses are found by their type.
pub(super) fn related(name: &str) -> Option<Related> {
    match name {
        "related.ip" => Some(Related::Ip),
        "related.user" => Some(Related::User),
        "related.hosts" => Some(Related::Hosts),
        "related.hash" => Some(Related::Hash),
        _ if is_user(name) => Some(Related::User),
        _ if is_host(name) => Some(Related::Hosts),
        _ if name.contains(".hash.") => Some(Related::Hash),
        _ => None,
    }
}
