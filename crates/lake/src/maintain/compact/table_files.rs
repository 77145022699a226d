//! What a table holds: the files of its head, and the numbers that compaction is planned by.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::TableIdent;
use iceberg::spec::Struct;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::maintain::compact::facts::{DataFacts, DeleteFacts, PartitionFacts, TableFacts};
use crate::maintain::compact::listing::{ListedFile, Listing, Obstacle};
use crate::maintain::compact::sort_keys::is_sortable;
use crate::scan::{CONCURRENT_READS, LakeTable, ScanCache};

/// The files of a table as they were when it was loaded. Tasks planned by them look at the table again when they run.
pub struct TableFiles {
    pub(crate) listing: Listing,
    pub(crate) facts: TableFacts,
}

impl TableFiles {
    /// Lists the table's files. Of the deletes only those are read whose manifests do not tell what they delete from.
    pub async fn load(catalog: &Catalog, table: &TableIdent) -> Result<Self> {
        let lake = LakeTable::load(catalog, table, Arc::new(ScanCache::new())).await?;
        let listing = Listing::load(lake).await?;
        let facts = facts(&listing).await?;
        Ok(Self { listing, facts })
    }

    /// Leaves the data files at other paths alone, and their deletes.
    pub fn retain(&mut self, paths: &[String]) {
        let kept: HashSet<&String> = paths.iter().collect();
        for partition in &mut self.facts.partitions {
            partition.data.retain(|file| kept.contains(&file.path));
            partition.deletes.retain(|file| file.data_paths.iter().any(|path| kept.contains(path)));
        }
    }

    /// A property of the table.
    pub fn property(&self, name: &str) -> Option<&String> {
        self.listing.lake.table().metadata().properties().get(name)
    }

    pub fn table(&self) -> &TableIdent {
        self.listing.lake.table().identifier()
    }

    /// The snapshot that was the head; `None` where the table had none.
    pub fn snapshot_id(&self) -> Option<i64> {
        self.listing.lake.snapshot().map(|snapshot| snapshot.snapshot_id())
    }
}

async fn facts(listing: &Listing) -> Result<TableFacts> {
    let mut partitions =
        Partitions { listing, obstacles: listing.obstacles(), number_of: HashMap::new(), partitions: Vec::new() };
    let mut place_of: HashMap<String, (usize, usize)> = HashMap::new();
    for file in listing.data().filter(ListedFile::is_parquet) {
        let number = partitions.number(&file);
        let data = &mut partitions.partitions[number].data;
        place_of.insert(file.path().to_owned(), (number, data.len()));
        data.push(DataFacts {
            path: file.path().to_owned(),
            sequence_number: file.sequence_number()?,
            bytes: file.entry.file_size_in_bytes(),
            rows: file.entry.record_count(),
            deleted_rows: 0,
            sort_order_id: file.entry.data_file().sort_order_id(),
        });
    }

    let position_deletes = listing.deletes().filter(ListedFile::is_position_deletes);
    let named = position_deletes.map(async |delete| {
        let counts = deleted_counts(listing, &delete).await?;
        Ok::<_, Error>((delete, counts))
    });
    let named: Vec<_> = stream::iter(named).buffered(CONCURRENT_READS).try_collect().await?;
    for (delete, counts) in named {
        let mut data_paths = Vec::new();
        for (path, count) in counts {
            let Some(&(partition, index)) = place_of.get(&path) else { continue };
            let data = &mut partitions.partitions[partition].data[index];
            if delete.sequence_number()? >= data.sequence_number {
                data.deleted_rows = (data.deleted_rows + count).min(data.rows);
                data_paths.push(path);
            }
        }
        let number = partitions.number(&delete);
        partitions.partitions[number].deletes.push(DeleteFacts {
            path: delete.path().to_owned(),
            bytes: delete.entry.file_size_in_bytes(),
            rows: delete.entry.record_count(),
            data_paths,
        });
    }
    let sort_order = listing.lake.table().metadata().default_sort_order();
    let sort_order_id = is_sortable(sort_order, listing.lake.columns()).then_some(sort_order.order_id as i32);
    Ok(TableFacts { partitions: partitions.partitions, sort_order_id })
}

/// How many rows a delete file deletes from each data file that it names.
async fn deleted_counts(listing: &Listing, delete: &ListedFile) -> Result<Vec<(String, u64)>> {
    if let Some(path) = delete.only_data_path() {
        return Ok(vec![(path, delete.entry.record_count())]);
    }
    let loaded = listing.lake.delete_file(&delete.entry).await?;
    Ok(loaded.rows.iter().map(|(path, rows)| (path.clone(), rows.len() as u64)).collect())
}

struct Partitions<'a> {
    listing: &'a Listing,
    obstacles: Vec<Obstacle>,
    number_of: HashMap<(i32, Struct), usize>,
    partitions: Vec<PartitionFacts>,
}

impl Partitions<'_> {
    fn number(&mut self, file: &ListedFile) -> usize {
        let (spec_id, partition) = file.partition();
        if let Some(number) = self.number_of.get(&(spec_id, partition.clone())) {
            return *number;
        }
        let metadata = self.listing.lake.table().metadata();
        let spec = metadata.partition_spec_by_id(spec_id);
        let bound = spec.filter(|spec| spec.partition_type(metadata.current_schema()).is_ok());
        let (name, obstacle) = match bound {
            Some(spec) => {
                let name = spec.partition_to_path(partition, metadata.current_schema().clone());
                let obstacle = self.obstacles.iter().find(|obstacle| obstacle.is_in((spec_id, partition)));
                (name, obstacle.map(|obstacle| obstacle.reason.to_owned()))
            }
            // Manifests of such a spec cannot be written any more.
            None => (format!("of spec {spec_id}"), Some("a column it was partitioned by is gone".to_owned())),
        };
        self.partitions.push(PartitionFacts { name, obstacle, ..PartitionFacts::default() });
        self.number_of.insert((spec_id, partition.clone()), self.partitions.len() - 1);
        self.partitions.len() - 1
    }
}
