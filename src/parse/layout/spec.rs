//! What a mapping file says about a layout: plain data.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};

/// One way in which lines are written, as a mapping file describes it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayoutSpec {
    /// Its name; not in the file, which has it as a key or as the file's own name.
    #[serde(skip)]
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// JSON or text.
    pub format: Format,
    /// Text: line templates, tried in this order. One may be given as a plain string.
    #[serde(deserialize_with = "one_or_many")]
    pub line: Vec<String>,
    /// A syslog header stands before it: format and templates are for what follows.
    pub syslog: bool,
    /// What begins a record.
    pub start: StartRule,
    /// Record name → record name, `a.*` → `b.*` for subtrees: names of JSON keys, of pairs and of structured data. Names
    /// that templates capture are right already.
    #[serde(deserialize_with = "pairs")]
    pub rename: Vec<(String, String)>,
    /// JSON: formats of `@timestamp`, tried in this order; `auto` if there is none.
    #[serde(deserialize_with = "one_or_many")]
    pub time: Vec<String>,
    /// What the numbers of `log.level` mean: `30 = "info"`.
    #[serde(deserialize_with = "pairs")]
    pub levels: Vec<(String, String)>,
    /// `#012` stands for a newline (and so on), as some syslog daemons write it.
    pub unescape_octal: bool,
    /// JSON: names, as they are written, that must be there for a file to be of this layout.
    pub require: Vec<String>,
}

/// How what follows a header is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per record.
    Json,
    /// Text, by templates.
    #[default]
    Text,
}

/// What begins a record.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartRule {
    /// `every` for JSON, `header` for text.
    #[default]
    Usual,
    /// Each line is a record.
    Every,
    /// A line that begins with a syslog header or like a line template up to its message.
    Header,
    /// A line whose beginning this template matches.
    Begins(String),
    /// A line whose beginning this template does not match.
    Continues(String),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E>(self, one: &str) -> Result<Self::Value, E> {
            Ok(vec![one.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = many.next_element()? {
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(OneOrMany)
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(pair) = map.next_entry()? {
                all.push(pair);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_map(Pairs)
}
