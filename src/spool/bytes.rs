//! Variable-length integers, and a reader that cannot leave its bytes. Pure.
//!
//! A varint is LEB128: seven bits a byte, the lowest first, at most ten bytes. Signed numbers are zigzagged first.

/// Why bytes are not what they should be. Never a reason to stop: the caller says where and what follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Damage(pub(crate) &'static str);

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Damage> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Damage("it ends too early"))?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Damage("it ends too early"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damage> {
        let (head, rest) = self.0.split_first().ok_or(Damage("it ends too early"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Damage> {
        if let [first, rest @ ..] = self.0
            && *first < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(*first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damage("a number is too long"))
    }

    pub(crate) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Damage> {
        T::try_from(self.varint()?).map_err(|_| Damage("a number is too large"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damage> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A length and that many bytes, at most `max`.
    pub(crate) fn bytes(&mut self, max: usize) -> Result<&'a [u8], Damage> {
        let count = self.small::<usize>()?;
        if count > max {
            return Err(Damage("a length is too large"));
        }
        self.take(count)
    }

    /// The same, as text.
    pub(crate) fn text(&mut self, max: usize) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| Damage("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(unsigned: u64, signed: i64, small in 0_u64..300) {
            let mut out = Vec::new();
            put_varint(&mut out, unsigned);
            put_signed(&mut out, signed);
            put_varint(&mut out, small);
            let mut bytes = Bytes(&out);
            prop_assert_eq!(bytes.varint(), Ok(unsigned));
            prop_assert_eq!(bytes.signed(), Ok(signed));
            prop_assert_eq!(bytes.varint(), Ok(small));
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Bytes(&bytes);
            while !reader.is_empty() && reader.varint().is_ok() {}
            let _ = Bytes(&bytes).bytes(16);
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        assert_eq!(Bytes(&[0xff; 10]).varint(), Err(Damage("a number is too long")));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(Bytes(&most).varint(), Ok(u64::MAX));
    }
}
