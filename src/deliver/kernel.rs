//! What the kernel knows of a TCP connection: how much the peer has not acknowledged, and whether its side is
//! quiet. This is the evidence by which a batch of plain syslog counts (see `window`).
//!
//! The one place of the crate with `unsafe`: rustix has no safe call for `SIOCOUTQ`.

use std::{io, os::fd::AsFd};

use rustix::net::{RecvFlags, recv};

/// `SIOCOUTQ` (tcp(7)), the same number as `TIOCOUTQ`.
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64", target_arch = "sparc64"))]
const SIOCOUTQ: rustix::ioctl::Opcode = 0x4004_7473;
/// `SIOCOUTQ` (tcp(7)), the same number as `TIOCOUTQ`.
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
const SIOCOUTQ: rustix::ioctl::Opcode = 0x7472;
/// `SIOCOUTQ` (tcp(7)), the same number as `TIOCOUTQ`.
#[cfg(not(any(
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc64",
    target_arch = "mips",
    target_arch = "mips64"
)))]
const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;

/// Bytes that were written to the socket and that the peer's kernel has not acknowledged.
#[expect(unsafe_code, reason = "rustix has no safe call for SIOCOUTQ")]
pub(crate) fn unacknowledged(socket: impl AsFd) -> io::Result<u64> {
    // SAFETY: SIOCOUTQ writes one C int to where its argument points and reads nothing (tcp(7)), which is what a
    // `Getter` of that type provides; on a descriptor that is no socket the kernel answers with an error.
    let bytes = unsafe {
        let getter = rustix::ioctl::Getter::<SIOCOUTQ, std::ffi::c_int>::new();
        rustix::ioctl::ioctl(socket, getter)?
    };
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// What stands on the read side of a socket right now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadSide {
    /// Nothing: the peer is still there, or nobody knows better.
    Quiet,
    /// Bytes that nobody has read yet: an alert, perhaps.
    Speaks,
    /// The peer has closed.
    Closed,
}

/// Looks at the read side without taking anything from it. Asks the kernel itself: what tokio knows of a socket
/// is as old as its last turn of epoll.
pub(crate) fn read_side(socket: impl AsFd) -> io::Result<ReadSide> {
    let mut byte = [0u8; 1];
    match recv(socket, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Ok(ReadSide::Closed),
        Ok(_) => Ok(ReadSide::Speaks),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(ReadSide::Quiet),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    fn until_acknowledged(socket: &TcpStream) {
        while unacknowledged(socket).unwrap() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_the_peer_does_not_take_stays_unacknowledged() {
        let (mut ours, mut theirs) = pair();
        assert_eq!(unacknowledged(&ours).unwrap(), 0);
        ours.set_nonblocking(true).unwrap();
        let block = [7u8; 65536];
        let mut written = 0;
        while let Ok(n) = ours.write(&block) {
            written += n;
        }
        assert!(unacknowledged(&ours).unwrap() > 0, "the peer's buffers cannot hold everything");
        let mut sink = vec![0u8; written];
        theirs.read_exact(&mut sink).unwrap();
        until_acknowledged(&ours);
    }

    #[test]
    fn the_read_side_tells_quiet_from_speech_from_end() {
        let (ours, mut theirs) = pair();
        assert_eq!(read_side(&ours).unwrap(), ReadSide::Quiet);
        theirs.write_all(b"x").unwrap();
        until_acknowledged(&theirs);
        assert_eq!(read_side(&ours).unwrap(), ReadSide::Speaks);
        assert_eq!(read_side(&ours).unwrap(), ReadSide::Speaks, "looking takes nothing");
        (&ours).read_exact(&mut [0u8; 1]).unwrap();
        drop(theirs);
        while read_side(&ours).unwrap() == ReadSide::Quiet {
            std::thread::yield_now();
        }
        assert_eq!(read_side(&ours).unwrap(), ReadSide::Closed);
    }

    #[test]
    fn a_file_is_no_socket() {
        let file = tempfile::tempfile().unwrap();
        assert!(unacknowledged(&file).is_err());
        assert!(read_side(&file).is_err());
    }
}
