//! ECS 8.11 JSON: one nested object an event, every member once.
//!
//! ```text
//! {"@timestamp":…,"event":{kind … created, then the event's},"message":…,  fields by name  ,"towline":{…},
//!  "agent":{…},"ecs":{…}}
//! ```
//!
//! - Arrays exactly where the tables say so. A second value of a field that is none, a value that does not fit its
//!   field's type, and a name that only the agent may use are kept as `name=value` in `towline.uncoerced`.
//! - `event.action`, `event.dataset`, `event.module`, `event.outcome`, `host.*` and `threat.*` of the event go
//!   before what the agent would say; `event.kind`, `event.code`, `agent.*` … do not (see [`names`]).
//! - `related.*` gathers addresses, users, hosts and hashes of the event, at most [`RELATED_MAX`] together.
//! - An event that another host wrote (its `host.hostname` differs from ours) gets us as `observer`.

pub(crate) mod names;
mod plan;
mod related;
mod write;

use std::collections::BTreeMap;

use plan::{Bundle, Own, Plan};

use crate::{
    encode::{Agent, PRODUCT, action, family, json, scalar},
    event::{Event, FieldType, KindDef, Tables},
    guard::Shippable,
    spool::Sequence,
};

/// The version of ECS that field names follow (`ecs.version`).
pub const ECS_VERSION: &str = "8.11.0";

/// `threat.framework` of kinds that have a technique.
const FRAMEWORK: &str = "MITRE ATT&CK";

/// Values that `related.*` holds together, at most.
pub const RELATED_MAX: usize = 64;

/// Writes events as ECS JSON.
#[derive(Debug)]
pub struct Ecs {
    plan: Plan,
    kinds: Vec<Kind>,
    host: Host,
    /// What ends every object: `"agent":{…},"ecs":{…}}`.
    tail: Box<str>,
}

/// What a kind says of each of its events, as JSON. A value's own quotes and brackets come with its place.
#[derive(Debug)]
struct Kind {
    /// `"kind":"event","category":[…],…,"severity":`
    head: Box<str>,
    severity: u8,
    action: Box<str>,
    family: Box<str>,
    dataset: Box<str>,
    outcome: Option<Box<str>>,
    techniques: Option<Box<str>>,
    subtechniques: Option<Box<str>>,
    /// All of `threat`.
    threat: Option<Bundle>,
}

/// What the agent says of its own host, likewise.
#[derive(Debug)]
struct Host {
    /// As it is, to compare with what a record says.
    plain: Box<str>,
    name: Box<str>,
    /// `192.0.2.1","2001:db8::1`, if there is one.
    ip: Option<Box<str>>,
    /// All of `host`.
    whole: Option<Bundle>,
    /// The value of `observer.hostname` and the members that follow it.
    observer: Box<str>,
}

impl Ecs {
    /// Prepares everything that does not change from event to event.
    #[must_use]
    pub fn new(agent: &Agent, tables: &Tables) -> Self {
        let mut id = Vec::new();
        scalar::hex(&mut id, &agent.id);
        let tail = format!(
            r#","agent":{{"id":"{}","name":{},"type":"{PRODUCT}","version":{}}},"ecs":{{"version":"{ECS_VERSION}"}}}}"#,
            String::from_utf8_lossy(&id),
            json::any(&agent.name),
            json::any(agent.version),
        );
        let plan = Plan::new(tables);
        let kinds = tables.kinds().iter().map(|kind| Kind::new(kind, &plan)).collect();
        Self { kinds, host: Host::new(agent, &plan), plan, tail: tail.into() }
    }

    /// Appends one JSON object, without a line end. A sequence of 0 (a dry run) is not written.
    pub fn write(&self, sequence: Sequence, event: &Event<Shippable>, out: &mut Vec<u8>) {
        // An event's kind is in its tables; one that is not would have nothing to say of itself.
        if let Some(kind) = self.kinds.get(usize::from(event.kind.0)) {
            write::Writer::new(self, kind, sequence, event, out).write();
        }
    }
}

/// Dotted name and type of every member that an object of these tables can have.
pub(crate) fn types(tables: &Tables) -> BTreeMap<String, FieldType> {
    plan::types(tables)
}

impl Kind {
    fn new(kind: &KindDef, plan: &Plan) -> Self {
        let list = |name: &str, values: &[String]| match values {
            [] => String::new(),
            _ => format!(r#""{name}":{},"#, json::array(values.iter().map(String::as_str))),
        };
        let head = format!(
            r#""kind":{},{}{}"code":{},"severity":"#,
            json::any(&kind.kind),
            list("category", &kind.category),
            list("type", &kind.types),
            json::any(&kind.name),
        );
        // T1110.001 is a sub-technique of T1110; ECS has a field for each.
        let mut techniques: Vec<_> = kind.attack.iter().map(|id| family(id)).collect();
        techniques.dedup();
        let subtechniques: Vec<_> =
            kind.attack.iter().map(String::as_str).filter(|id| id.contains('.')).collect();
        let some = |ids: Vec<&str>| -> Option<Box<str>> {
            (!ids.is_empty()).then(|| json::inside(&json::array(ids)).into())
        };
        let (techniques, subtechniques) = (some(techniques), some(subtechniques));
        let mut threat = vec![(Own::Framework, FRAMEWORK)];
        threat.extend(techniques.as_deref().map(|ids| (Own::Technique, ids)));
        threat.extend(subtechniques.as_deref().map(|ids| (Own::Subtechnique, ids)));
        let threat = techniques.as_ref().and_then(|_| plan.bundle(&threat));
        Self {
            head: head.into(),
            severity: kind.severity,
            action: inside(action(&kind.name)),
            family: inside(family(&kind.name)),
            dataset: inside(&format!("{}.log", family(&kind.name))),
            outcome: kind.outcome.as_deref().map(inside),
            techniques,
            subtechniques,
            threat,
        }
    }
}

/// A text as JSON without its quotes.
fn inside(text: &str) -> Box<str> {
    json::inside(&json::any(text)).into()
}

impl Host {
    fn new(agent: &Agent, plan: &Plan) -> Self {
        let addresses: Vec<_> = agent.host_ip.iter().map(ToString::to_string).collect();
        let ip = (!addresses.is_empty()).then(|| json::array(addresses.iter().map(String::as_str)));
        let name = json::any(&agent.host_name);
        let observer = format!(
            r#"{name},{}"product":"Towline","type":"shipper","vendor":"Towline","version":{}"#,
            ip.as_ref().map(|ip| format!(r#""ip":{ip},"#)).unwrap_or_default(),
            json::any(agent.version),
        );
        let name = inside(&agent.host_name);
        let ip: Option<Box<str>> = ip.map(|ip| json::inside(&ip).into());
        let mut whole = vec![(Own::HostHostname, &*name)];
        whole.extend(ip.as_deref().map(|ip| (Own::HostIp, ip)));
        whole.push((Own::HostName, &name));
        Self {
            plain: agent.host_name.as_str().into(),
            whole: plan.bundle(&whole),
            name,
            ip,
            observer: json::inside(&observer).into(),
        }
    }
}

#[cfg(test)]
mod tests;
