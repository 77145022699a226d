//! Cuts large files into pieces, so that every partition of a scan has about the same to do.
//!
//! DataFusion cuts between row groups only, and a file of a million rows often is one row group.

use std::ops::Range;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use parquet::file::metadata::RowGroupMetaData;

/// A smaller piece costs more to set up than it saves.
const PIECE_BYTES_MIN: u64 = 2 << 20;

/// A file or some of its rows.
pub(super) struct Piece {
    /// About how much is read for it.
    pub bytes: u64,
    pub file: PartitionedFile,
}

/// Into how many pieces each file is cut, so that `partitions` can share the work.
pub(super) fn counts(sizes: &[u64], partitions: usize) -> Vec<usize> {
    let share = sizes.iter().sum::<u64>() / partitions.max(1) as u64;
    let piece_bytes = share.max(PIECE_BYTES_MIN);
    sizes.iter().map(|size| (size.div_ceil(piece_bytes) as usize).clamp(1, partitions.max(1))).collect()
}

/// The rows of each piece, counted from the start of the file. Pieces end with a row group where one ends nearby.
pub(super) fn row_ranges(row_groups: &[RowGroupMetaData], pieces: usize) -> Vec<Range<u64>> {
    let mut ends = Vec::with_capacity(row_groups.len());
    let mut rows: u64 = 0;
    for row_group in row_groups {
        rows += row_group.num_rows() as u64;
        ends.push(rows);
    }
    cut(rows, &ends, pieces)
}

fn cut(rows: u64, ends: &[u64], pieces: usize) -> Vec<Range<u64>> {
    let piece_rows = rows / pieces as u64;
    let near = piece_rows / 8;
    let mut start = 0;
    let mut ranges = Vec::with_capacity(pieces);
    for piece in 1..=pieces as u64 {
        let even = if piece == pieces as u64 { rows } else { piece_rows * piece };
        let end = ends.iter().copied().find(|end| end.abs_diff(even) <= near).unwrap_or(even);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

/// Spreads the pieces over at most `partitions` groups of about the same size.
pub(super) fn pack(mut pieces: Vec<Piece>, partitions: usize) -> Vec<FileGroup> {
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.bytes));
    let mut groups: Vec<(u64, FileGroup)> = Vec::new();
    groups.resize_with(partitions.clamp(1, pieces.len().max(1)), || (0, FileGroup::default()));
    for piece in pieces {
        let (bytes, group) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("there is at least one group");
        *bytes += piece.bytes;
        group.push(piece.file);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_spread_by_size() {
        let piece = |bytes| Piece { bytes, file: PartitionedFile::new("f", bytes) };
        let groups = pack([5, 1, 1, 1, 2].map(piece).into(), 2);
        let sizes: Vec<u64> = groups.iter().map(|group| group.iter().map(|file| file.object_meta.size).sum()).collect();
        assert_eq!(sizes, [5, 5]);
    }

    #[test]
    fn only_what_is_more_than_a_share_is_cut() {
        let check = |mib: &[u64], partitions, expected: &[usize]| {
            let sizes: Vec<u64> = mib.iter().map(|mib| mib << 20).collect();
            assert_eq!(counts(&sizes, partitions), expected, "{mib:?} {partitions}");
        };
        check(&[80], 2, &[2]);
        check(&[80], 1, &[1]);
        check(&[1], 8, &[1]);
        check(&[5], 8, &[3]);
        check(&[10, 10], 2, &[1, 1]);
        check(&[30, 10], 2, &[2, 1]);
    }

    #[test]
    fn pieces_cover_the_file_and_end_with_row_groups_where_they_can() {
        let check = |ends: &[u64], pieces, expected: &[Range<u64>]| {
            assert_eq!(cut(*ends.last().unwrap(), ends, pieces), expected, "{ends:?} {pieces}");
        };
        check(&[100], 2, &[0..50, 50..100]);
        check(&[100], 3, &[0..33, 33..66, 66..100]);
        check(&[48, 96], 2, &[0..48, 48..96]);
        check(&[45, 60, 100], 2, &[0..45, 45..100]);
        check(&[10, 90, 100], 2, &[0..50, 50..100]);
    }
}
