//! Secrets: where they are kept, and reading them. No message repeats one.

use std::{ffi::OsString, fs, io::Read, os::unix::fs::PermissionsExt, path::Path};

use super::{
    sheet::{Section, Sheet, Wrong},
    value,
};
use crate::deliver::Secret;

/// The longest secret that is read.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Asks for an environment variable.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<OsString>;

/// Reads `key = { file = "…" }`, `{ env = "…" }` or `{ credential = "…" }` of a section.
pub(super) fn secret(
    section: &mut Section<'_>,
    key: &'static str,
    environment: Environment<'_>,
) -> Option<Secret> {
    let present = section.has(key);
    let at = section.place_of(key);
    if present && !section.is_table(key) {
        let wrong = Wrong::new(format!("a secret is not written into the configuration: `{key}`"));
        section.sheet.error(at, wrong.hint(format!("use `{key} = {{ file = \"/…\" }}`, {OTHERS}")));
        section.skip(key);
        return None;
    }
    let mut table = section.section(key);
    let sheet = table.sheet;
    let file = table.take("file", value::absolute);
    let variable = table.take("env", value::text);
    let credential = table.take("credential", value::text);
    let given = [table.has("file"), table.has("env"), table.has("credential")];
    if present && given.iter().filter(|given| **given).count() != 1 && table.keys().count() != 1 {
        let wrong = Wrong::new(format!("`{key}` names not exactly one place"));
        sheet.error(at, wrong.hint(format!("use `{{ file = \"/…\" }}`, {OTHERS}")));
    }
    table.finish(|_| Some(format!("use `{{ file = \"/…\" }}`, {OTHERS}")));
    let (at, read) = if let Some(file) = file {
        warn_when_open(sheet, &file.value, file.at.clone());
        (file.at, from_file(&file.value))
    } else if let Some(variable) = variable {
        (variable.at, from_environment(&variable.value, environment))
    } else if let Some(credential) = credential {
        (credential.at, from_credential(&credential.value, environment))
    } else {
        return None;
    };
    read.and_then(check).map(Secret::new).map_err(|wrong| sheet.error(at, wrong)).ok()
}

const OTHERS: &str = "`{ env = \"…\" }` or `{ credential = \"…\" }`";

fn from_file(path: &Path) -> Result<Vec<u8>, Wrong> {
    let wrong = |error: std::io::Error| {
        Wrong::new(format!("cannot read the secret in {}: {error}", path.display()))
            .hint("a file of one line, for the agent's user only")
    };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .map_err(wrong)?
        .take(SECRET_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(wrong)?;
    Ok(bytes)
}

fn from_environment(name: &str, environment: Environment<'_>) -> Result<Vec<u8>, Wrong> {
    let value = environment(name).ok_or_else(|| {
        Wrong::new(format!("the environment variable {name} is not set"))
            .hint("set it for the agent, or use `{ file = \"/…\" }`")
    })?;
    Ok(value.into_encoded_bytes())
}

fn from_credential(name: &str, environment: Environment<'_>) -> Result<Vec<u8>, Wrong> {
    if name.contains('/') {
        return Err(
            Wrong::new("a credential is a name, not a path").hint("for a file: `{ file = \"…\" }`")
        );
    }
    let folder = environment("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        Wrong::new("there are no credentials: CREDENTIALS_DIRECTORY is not set")
            .hint(format!("systemd sets it for a unit with `LoadCredential={name}:/…`"))
    })?;
    from_file(&Path::new(&folder).join(name))
}

fn check(bytes: Vec<u8>) -> Result<String, Wrong> {
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(Wrong::new("the secret is longer than 64KiB").hint("is it the right file?"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Wrong::new("the secret is not UTF-8 text").hint("is it the right file?"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => {
            Err(Wrong::new("the secret is empty")
                .hint("one line, without anything before or after it"))
        }
        line if line.contains(char::is_control) => {
            Err(Wrong::new("the secret holds a line end or another control character")
                .hint("one line, without anything before or after it"))
        }
        line => Ok(line.to_owned()),
    }
}

/// Warns of a file that every user of the host can read.
pub(super) fn warn_when_open(sheet: &Sheet<'_>, path: &Path, at: std::ops::Range<usize>) {
    const READ_BY_OTHERS: u32 = 0o004;
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_file() && metadata.permissions().mode() & READ_BY_OTHERS != 0 {
        let wrong = Wrong::new(format!("every user of this host can read {}", path.display()));
        sheet.warn(at, wrong.hint(format!("chmod o-rwx {}", path.display())));
    }
}
