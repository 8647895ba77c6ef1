//! A mapping's `[session]` table with its names resolved.

use std::fmt;

use super::KEEP_MAX;
use crate::{
    event::{FieldId, KindDef, KindId, Tables, field},
    map::{SessionSpec, glob},
};

/// What is learnt and inherited alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    /// Who is on the connection. Joined: its values belong together.
    Identity,
    /// The other end. Joined.
    Source,
    /// The end that was connected to. Joined.
    Destination,
    /// How the connection is protected.
    Transport,
    /// A value by itself.
    Alone,
}

impl Group {
    /// Whether its values are learnt, replaced and inherited together only.
    pub(crate) fn is_joined(self) -> bool {
        matches!(self, Self::Identity | Self::Source | Self::Destination)
    }

    fn of(name: &str) -> Self {
        const IDENTITY: &[&str] = &["xmpp.jid", "xmpp.resource", "xmpp.sasl.authzid"];
        let in_one_of = |sets: &[&str]| sets.iter().any(|set| name.starts_with(set));
        if IDENTITY.contains(&name) || in_one_of(&["user.", "client.user."]) {
            Self::Identity
        } else if in_one_of(&["source.", "client."]) {
            Self::Source
        } else if in_one_of(&["destination.", "server."]) {
            Self::Destination
        } else if in_one_of(&["tls.", "network."]) {
            Self::Transport
        } else {
            Self::Alone
        }
    }
}

/// A set of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Groups(u8);

impl Groups {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn with(self, group: Group) -> Self {
        Self(self.0 | 1 << group as u8)
    }

    pub(crate) fn without(self, group: Group) -> Self {
        Self(self.0 & !(1 << group as u8))
    }

    pub(crate) fn has(self, group: Group) -> bool {
        self.0 & 1 << group as u8 != 0
    }
}

/// What a kind of event means for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Role {
    pub(crate) starts: bool,
    pub(crate) ends: bool,
    /// Its outcome, where the kind itself settles it.
    pub(crate) outcome: Outcome,
    pub(crate) authentication: bool,
    pub(crate) session: bool,
    /// It is about an account, for example one that was registered.
    pub(crate) account: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Outcome {
    Success,
    Failure,
    #[default]
    Unknown,
}

impl Outcome {
    pub(crate) fn of(text: &[u8]) -> Self {
        match text {
            b"success" => Self::Success,
            b"failure" => Self::Failure,
            _ => Self::Unknown,
        }
    }
}

/// Which events belong to a connection and what they pass on.
#[derive(Debug)]
pub struct Rules {
    /// The field that holds the id, where the mapping does not copy it into `xmpp.connection.id` itself.
    pub(crate) id: Option<FieldId>,
    matching: Vec<String>,
    roles: Vec<Role>,
    /// Fields that are remembered; at most [`KEEP_MAX`].
    pub(crate) keep: Vec<FieldId>,
    groups: Vec<Group>,
    /// Per field: its place in `keep`, or [`Self::NOWHERE`].
    places: Vec<u8>,
}

/// A `[session]` table names something that there is not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RulesError {
    /// No such kind.
    Kind(String),
    /// No such field.
    Field(String),
    /// More fields than [`KEEP_MAX`].
    TooMany(usize),
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(name) => write!(f, "unknown event kind `{name}` in [session]"),
            Self::Field(name) => write!(f, "unknown field `{name}` in `keep` of [session]"),
            Self::TooMany(n) => {
                write!(f, "`keep` of [session] has {n} fields, at most {KEEP_MAX} can be kept")
            }
        }
    }
}

impl std::error::Error for RulesError {}

impl Rules {
    const NOWHERE: u8 = u8::MAX;

    /// Resolves the names of a mapping's session table.
    ///
    /// # Errors
    ///
    /// [`RulesError`] where a name is unknown.
    pub fn new(spec: &SessionSpec, tables: &Tables) -> Result<Self, RulesError> {
        if spec.keep.len() > KEEP_MAX {
            return Err(RulesError::TooMany(spec.keep.len()));
        }
        let mut roles = tables.kinds().iter().map(role).collect::<Vec<_>>();
        for name in &spec.starts {
            kind(&mut roles, tables, name)?.starts = true;
        }
        for name in &spec.ends {
            kind(&mut roles, tables, name)?.ends = true;
        }
        let mut places = vec![Self::NOWHERE; tables.fields().len()];
        let mut keep = Vec::new();
        for name in &spec.keep {
            let id = tables.field_id(name).ok_or_else(|| RulesError::Field(name.clone()))?;
            if places[usize::from(id.0)] == Self::NOWHERE {
                places[usize::from(id.0)] = u8::try_from(keep.len()).unwrap_or(Self::NOWHERE);
                keep.push(id);
            }
        }
        let groups = keep.iter().map(|id| Group::of(&tables.field(*id).name)).collect();
        let id = tables.field_id(&spec.id).filter(|id| *id != field::CONNECTION_ID);
        Ok(Self { id, matching: spec.matching.clone(), roles, keep, groups, places })
    }

    /// Whether an id is that of a connection.
    pub(crate) fn is_connection(&self, id: &[u8]) -> bool {
        self.matching.is_empty()
            || self.matching.iter().any(|glob| glob::matches(glob.as_bytes(), id))
    }

    pub(crate) fn role(&self, kind: KindId) -> Role {
        self.roles.get(usize::from(kind.0)).copied().unwrap_or_default()
    }

    /// The place of a field among those that are remembered.
    pub(crate) fn place(&self, id: FieldId) -> Option<usize> {
        self.places
            .get(usize::from(id.0))
            .filter(|place| **place != Self::NOWHERE)
            .map(|place| usize::from(*place))
    }

    pub(crate) fn group(&self, place: usize) -> Group {
        self.groups[place]
    }
}

fn kind<'a>(
    roles: &'a mut [Role],
    tables: &Tables,
    name: &str,
) -> Result<&'a mut Role, RulesError> {
    let id = tables.kind_id(name).ok_or_else(|| RulesError::Kind(name.to_owned()))?;
    Ok(&mut roles[usize::from(id.0)])
}

fn role(def: &KindDef) -> Role {
    let in_category = |name: &str| def.category.iter().any(|category| category == name);
    Role {
        starts: false,
        ends: false,
        outcome: def.outcome.as_deref().map_or(Outcome::Unknown, |o| Outcome::of(o.as_bytes())),
        authentication: in_category("authentication"),
        session: in_category("session"),
        account: in_category("iam"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_choose_ids() {
        for (glob, text, expected) in [
            ("c2s*", "c2s55d0b8", true),
            ("c2s*", "s2sin1", false),
            ("<*>", "<0.12.0>", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("c2s", "c2s1", false),
        ] {
            assert_eq!(glob::matches(glob.as_bytes(), text.as_bytes()), expected, "{glob} {text}");
        }
    }
}
