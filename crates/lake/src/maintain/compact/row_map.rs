//! Where each row went in a rewrite: a delete that comes meanwhile names the old place.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

/// Rows by their rank: how many live rows of the input stand before.
pub(crate) struct RowMap {
    inputs: HashMap<String, Input>,
    /// The rank in the output of each rank of the input; `None` where rows kept their order.
    order: Option<Vec<u32>>,
    /// The rank behind the last row of each output file.
    output_ends: Vec<u64>,
}

struct Input {
    rows: u64,
    /// Those that were deleted already.
    deleted: Option<Arc<RoaringBitmap>>,
    /// The rank of its first live row.
    first: u64,
}

impl RowMap {
    /// The map of files read one after the other as (path, rows, deleted rows), and written as files of `output_rows`.
    pub fn new(
        inputs: impl IntoIterator<Item = (String, u64, Option<Arc<RoaringBitmap>>)>,
        order: Option<Vec<u32>>,
        output_rows: impl IntoIterator<Item = u64>,
    ) -> Self {
        let mut first = 0;
        let inputs = inputs.into_iter().map(|(path, rows, deleted)| {
            let input = Input { rows, deleted, first };
            first += input.live_rows();
            (path, input)
        });
        let mut end = 0;
        let output_ends = output_rows.into_iter().map(|rows| {
            end += rows;
            end
        });
        Self { inputs: inputs.collect(), order, output_ends: output_ends.collect() }
    }

    /// The rows of an input file that were deleted already.
    pub fn deleted_before(&self, path: &str) -> Option<&RoaringBitmap> {
        self.inputs.get(path)?.deleted.as_deref()
    }

    /// The output file and the position in it of a row of the input; `None` for one that is not in the output.
    pub fn place(&self, path: &str, position: u32) -> Option<(usize, u64)> {
        let input = self.inputs.get(path)?;
        let deleted = input.deleted.as_deref();
        if u64::from(position) >= input.rows || deleted.is_some_and(|deleted| deleted.contains(position)) {
            return None;
        }
        let deleted_before = deleted.map_or(0, |deleted| deleted.rank(position));
        let rank = input.first + u64::from(position) - deleted_before;
        let rank = match &self.order {
            Some(order) => u64::from(*order.get(rank as usize)?),
            None => rank,
        };
        let file = self.output_ends.partition_point(|end| *end <= rank);
        let first = if file == 0 { 0 } else { self.output_ends[file - 1] };
        (file < self.output_ends.len()).then_some((file, rank - first))
    }
}

impl Input {
    fn live_rows(&self) -> u64 {
        self.rows - self.deleted.as_ref().map_or(0, |deleted| deleted.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(order: Option<Vec<u32>>) -> RowMap {
        let deleted = |rows: &[u32]| Some(Arc::new(RoaringBitmap::from_iter(rows)));
        let inputs = [("a", 3, deleted(&[1])), ("b", 2, deleted(&[0, 1])), ("c", 4, None)];
        RowMap::new(inputs.map(|(path, rows, deleted)| (path.to_owned(), rows, deleted)), order, [4, 2])
    }

    #[test]
    fn every_live_row_has_a_place_and_no_deleted_one() {
        let map = map(None);
        let places: Vec<_> = [("a", 0), ("a", 2), ("c", 0), ("c", 1), ("c", 2), ("c", 3)]
            .map(|(path, position)| map.place(path, position).unwrap())
            .to_vec();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]);
        for (path, position) in [("a", 1), ("b", 0), ("a", 3), ("c", 4), ("d", 0)] {
            assert_eq!(map.place(path, position), None, "{path} {position}");
        }
    }

    #[test]
    fn sorted_rows_are_found_where_the_order_put_them() {
        let map = map(Some(vec![5, 0, 4, 1, 3, 2]));
        let places = [("a", 0), ("a", 2), ("c", 0), ("c", 3)].map(|(path, position)| map.place(path, position));
        assert_eq!(places, [Some((1, 1)), Some((0, 0)), Some((1, 0)), Some((0, 2))]);
    }
}
