//! Where complete lines end in a window of a file.

/// The longest line that is handed out whole, without its newline. Of a longer one the first part is.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
/// How much may wait for its record to be complete before it is handed out as complete anyway.
pub(super) const OPEN_BYTES_MAX: usize = 1 << 20;

/// Length of the complete lines at the start of `bytes`, newlines included; `None` if there is not one.
pub(super) fn complete(bytes: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', bytes).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newline_completes_a_line() {
        assert_eq!(complete(b""), None);
        assert_eq!(complete(b"half\r\0\xff"), None);
        assert_eq!(complete(b"one\ntwo\nhalf"), Some(8));
    }
}
