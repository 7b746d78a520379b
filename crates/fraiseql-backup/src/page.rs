//! The header of a segment's first page: which cluster wrote it, and where in WAL it belongs.
//!
//! `XLogLongPageHeaderData` in PostgreSQL's `src/include/access/xlog_internal.h`, in this machine's
//! byte order, as PostgreSQL writes it.

use crate::lsn::Lsn;

/// What is read of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstPage {
    pub(crate) begins: Lsn,
    pub(crate) system_id: u64,
    pub(crate) segment_bytes: u64,
}

/// The flag of a page that has the long header.
const LONG_HEADER: u16 = 0x0002;
const HEADER_BYTES: usize = 40;

impl FirstPage {
    /// Reads the header; `None` where none is.
    pub(crate) fn of(segment: &[u8]) -> Option<Self> {
        let header = segment.first_chunk::<HEADER_BYTES>()?;
        let four =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let eight = |at: usize| u64::from_ne_bytes(std::array::from_fn(|index| header[at + index]));
        let flags = u16::from_ne_bytes([header[2], header[3]]);
        (flags & LONG_HEADER != 0).then(|| Self {
            begins: Lsn(eight(8)),
            system_id: eight(24),
            segment_bytes: u64::from(four(32)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_found_only_where_it_is() {
        let mut page = vec![0_u8; 8192];
        assert_eq!(FirstPage::of(&page), None);
        page[2] = 2;
        page[8..16].copy_from_slice(&0x0300_0000_u64.to_ne_bytes());
        page[24..32].copy_from_slice(&77_u64.to_ne_bytes());
        page[32..36].copy_from_slice(&0x0100_0000_u32.to_ne_bytes());
        let expected = FirstPage { begins: Lsn(0x0300_0000), system_id: 77, segment_bytes: 0x0100_0000 };
        assert_eq!(FirstPage::of(&page), Some(expected));
        assert_eq!(FirstPage::of(&page[..39]), None);
    }
}
