//! The table that turns ECS fields into CEF keys: plain data of `mappings/schemas/cef.toml`, checked.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The table as it ships; the user's folder may lay another over it.
pub const SHIPPED: &str = include_str!("../../../mappings/schemas/cef.toml");

/// The family whose custom keys serve every family without a table of its own.
pub(crate) const OTHER: &str = "other";

/// Keys, at most. The standard's dictionary has 110 that a sender may use, labels aside.
const KEYS_MAX: usize = 128;

/// Fields that may fill one key, at most.
const FROM_MAX: usize = 64;

/// Keys that ArcSight's connectors set; a producer must not.
const CONSUMER_KEYS: &[&str] =
    &["aid", "agt", "ahost", "amac", "art", "at", "atz", "av", "eventId", "mrt", "rawEvent"];

/// How an event is written as CEF.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CefTable {
    /// Device vendor, at most 63 characters.
    pub vendor: String,
    /// Device product, at most 63 characters.
    pub product: String,
    /// Keys that come first, in this order.
    #[serde(default)]
    pub order: Vec<String>,
    /// Fields that CEF leaves out.
    #[serde(default)]
    pub omit: Vec<String>,
    /// Where all other fields go.
    pub rest: Rest,
    /// What each key is, by its name.
    pub key: BTreeMap<String, CefKey>,
    /// Which fields take the custom keys: family → key → fields, the first that an event has.
    #[serde(default)]
    pub custom: BTreeMap<String, BTreeMap<String, Vec<Custom>>>,
}

/// The custom key that holds, as a JSON object, the fields that found no other.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// A string key.
    pub key: String,
    /// Its label.
    pub label: String,
}

/// One key of the dictionary.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CefKey {
    /// What it holds.
    #[serde(rename = "type")]
    pub ty: KeyType,
    /// Longest value, in characters.
    pub length: Option<usize>,
    /// The CEF version it came with: 0 or 1.
    #[serde(default)]
    pub since: u8,
    /// Fields that fill it: the first that the event has.
    #[serde(default)]
    pub from: Vec<String>,
    /// Key for an IPv6 address where this one holds IPv4 alone.
    pub ipv6: Option<String>,
    /// Fixed label of a custom key (`c6a2`).
    pub label: Option<String>,
}

/// A field and the label that tells a reader what the custom key holds.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// The field.
    pub from: String,
    /// The label.
    pub label: String,
}

/// What a key can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    /// Text.
    String,
    /// 0 to 2,147,483,647: consumers read 32 bits.
    Integer,
    /// 64 bits, signed.
    Long,
    /// Plain decimal.
    Double,
    /// 0 to 65,535.
    Port,
    /// IPv4 address.
    Ipv4,
    /// IPv6 address.
    Ipv6,
    /// Six hexadecimal pairs with colons.
    Mac,
    /// Milliseconds since the epoch.
    Timestamp,
    /// 0 (inbound) or 1 (outbound), from the words of `network.direction`.
    Direction,
}

/// What is wrong with a table, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct CefTableError {
    /// Dotted path of the value, for example `key.src.ipv6`.
    pub path: String,
    /// A fragment that fits after the path.
    pub problem: String,
}

/// Keys whose meaning only a label tells.
fn is_custom(key: &str) -> bool {
    const STEMS: &[&str] =
        &["cs", "cn", "cfp", "c6a", "deviceCustomDate", "flexString", "flexNumber", "flexDate"];
    STEMS.contains(&key.trim_end_matches(|c: char| c.is_ascii_digit()))
}

fn error(path: impl Into<String>, problem: impl Into<String>) -> CefTableError {
    CefTableError { path: path.into(), problem: problem.into() }
}

impl CefTable {
    /// A table out of merged TOML.
    ///
    /// # Errors
    /// What does not have the table's shape, or contradicts itself or the standard.
    pub fn from_value(value: toml::Value) -> Result<Self, CefTableError> {
        let table: Self = value
            .try_into()
            .map_err(|cause: toml::de::Error| error("schemas/cef", cause.message()))?;
        table.check()?;
        Ok(table)
    }

    /// The table as it ships, without a user's changes.
    ///
    /// # Errors
    /// As [`CefTable::from_value`]; a test shows that there are none.
    pub fn shipped() -> Result<Self, CefTableError> {
        let value = SHIPPED
            .parse::<toml::Table>()
            .map_err(|cause| error("schemas/cef", cause.message()))?;
        Self::from_value(value.into())
    }

    fn check(&self) -> Result<(), CefTableError> {
        if self.key.len() > KEYS_MAX {
            return Err(error("key", format!("more than {KEYS_MAX} keys")));
        }
        self.check_keys()?;
        self.check_rest()?;
        for family in self.custom.keys() {
            self.check_family(family)?;
        }
        self.check_fields()
    }

    fn check_keys(&self) -> Result<(), CefTableError> {
        for (name, key) in &self.key {
            let path = format!("key.{name}");
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(error(path, "a key has letters and digits only"));
            }
            if CONSUMER_KEYS.contains(&name.as_str()) {
                return Err(error(path, "is set by the receiving connector, never by a sender"));
            }
            if is_custom(name) && key.label.is_none() && !key.from.is_empty() {
                return Err(error(path, "needs a label; fields for it are listed under custom"));
            }
            if key.from.len() > FROM_MAX {
                return Err(error(format!("{path}.from"), format!("more than {FROM_MAX} fields")));
            }
            if key.since > 1 {
                return Err(error(format!("{path}.since"), "is 0 or 1"));
            }
            let Some(other) = &key.ipv6 else { continue };
            let path = format!("{path}.ipv6");
            match self.key.get(other) {
                Some(v6) if v6.ty == KeyType::Ipv6 && v6.label.is_some() && v6.from.is_empty() => {}
                Some(_) => {
                    return Err(error(
                        path,
                        format!("{other} has to be of type ipv6, with a label and without from"),
                    ));
                }
                None => return Err(error(path, format!("there is no key {other}"))),
            }
        }
        Ok(())
    }

    fn check_rest(&self) -> Result<(), CefTableError> {
        match self.key.get(&self.rest.key) {
            Some(key) if key.ty == KeyType::String && self.is_free(&self.rest.key) => Ok(()),
            Some(_) => Err(error("rest.key", "has to be a string key that nothing else fills")),
            None => Err(error("rest.key", format!("there is no key {}", self.rest.key))),
        }
    }

    /// Whether no field fills the key by itself.
    fn is_free(&self, name: &str) -> bool {
        let refers = |key: &CefKey| key.ipv6.as_deref() == Some(name);
        self.key.get(name).is_some_and(|key| key.from.is_empty()) && !self.key.values().any(refers)
    }

    fn check_family(&self, family: &str) -> Result<(), CefTableError> {
        let mut labels: BTreeSet<&str> =
            self.key.values().filter_map(|key| key.label.as_deref()).collect();
        labels.insert(&self.rest.label);
        let mut fields = BTreeSet::new();
        for (name, customs) in &self.custom[family] {
            let path = format!("custom.{family}.{name}");
            if !self.is_free(name) || *name == self.rest.key {
                return Err(error(
                    path,
                    "is not a key to give out: it is unknown, or filled already",
                ));
            }
            if customs.len() > FROM_MAX {
                return Err(error(path, format!("more than {FROM_MAX} fields")));
            }
            for custom in customs {
                if !labels.insert(&custom.label) {
                    return Err(error(path, format!("the label {:?} is used twice", custom.label)));
                }
                if !fields.insert(&custom.from) {
                    return Err(error(path, format!("{} has a key already", custom.from)));
                }
            }
        }
        Ok(())
    }

    fn check_fields(&self) -> Result<(), CefTableError> {
        let mut fields = BTreeSet::new();
        for (name, key) in &self.key {
            for field in &key.from {
                if !fields.insert(field) {
                    return Err(error(
                        format!("key.{name}.from"),
                        format!("{field} has a key already"),
                    ));
                }
            }
        }
        for (family, keys) in &self.custom {
            for (name, customs) in keys {
                if let Some(custom) = customs.iter().find(|custom| fields.contains(&custom.from)) {
                    let path = format!("custom.{family}.{name}");
                    return Err(error(path, format!("{} has a key already", custom.from)));
                }
            }
        }
        Ok(())
    }
}
