//! Who the agent is: a random id, made once and kept in the state folder, and the machine it runs on.

use std::{
    fs, io,
    net::{IpAddr, UdpSocket},
    path::Path,
};

use crate::encode::Agent;

/// The file of the id, 32 hexadecimal digits.
const FILE: &str = "agent.id";

/// Who we are. Makes the id where there is none yet.
pub(crate) fn agent(state: &Path, name: &str) -> io::Result<Agent> {
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(Agent {
        id: id(&state.join(FILE))?,
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        host_name,
        host_ip: addresses(),
    })
}

fn id(path: &Path) -> io::Result<[u8; 16]> {
    match fs::read_to_string(path) {
        Ok(text) => parse(text.trim()).ok_or_else(|| {
            let what = "not 32 hexadecimal digits: restore it, or remove it and the spool beside it to begin as a new agent";
            io::Error::new(io::ErrorKind::InvalidData, what)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut id = [0; 16];
            getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
            let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            let new = path.with_extension("new");
            fs::write(&new, digits + "\n")?;
            fs::File::open(&new)?.sync_all()?;
            fs::rename(&new, path)?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

fn parse(digits: &str) -> Option<[u8; 16]> {
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let mut id = [0; 16];
    for (n, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(id)
}

/// The addresses that this machine would send from. Connecting a datagram socket sends nothing: the kernel only picks
/// the route. The targets are documentation addresses (RFC 5737, RFC 3849).
fn addresses() -> Vec<IpAddr> {
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .iter()
        .filter_map(|(from, to)| {
            let socket = UdpSocket::bind(from).ok()?;
            socket.connect(to).ok()?;
            Some(socket.local_addr().ok()?.ip())
        })
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_made_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(FILE);
        let first = id(&path).expect("made");
        assert_ne!(first, [0; 16]);
        assert_eq!(id(&path).expect("read"), first);
        fs::write(&path, "no id").expect("write");
        assert_eq!(id(&path).expect_err("refused").kind(), io::ErrorKind::InvalidData);
    }
}
