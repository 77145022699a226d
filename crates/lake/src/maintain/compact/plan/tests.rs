use super::*;
use crate::maintain::compact::facts::DeleteFacts;

const MB: u64 = 1 << 20;
const TARGET: u64 = 512 * MB;

/// Files of so many MB, a thousand rows a MB, with so many deleted rows.
fn data(files: &[(u64, u64)]) -> Vec<DataFacts> {
    let file = |(number, (mb, deleted_rows)): (usize, &(u64, u64))| DataFacts {
        path: format!("f{number}"),
        sequence_number: number as i64,
        bytes: mb * MB,
        rows: mb * 1_000,
        deleted_rows: *deleted_rows,
        sort_order_id: None,
    };
    files.iter().enumerate().map(file).collect()
}

fn table(files: &[(u64, u64)]) -> TableFacts {
    let partition = PartitionFacts { data: data(files), ..PartitionFacts::default() };
    TableFacts { partitions: vec![partition], sort_order_id: None }
}

fn planned(table: &TableFacts, strategy: Strategy) -> Plan {
    plan_facts(table, &CompactionPolicy { target_file_bytes: TARGET, strategy }).unwrap()
}

/// The numbers of the files of each task, and how many files come of it.
fn check(files: &[(u64, u64)], expected: &[(&[usize], usize)]) {
    let plan = planned(&table(files), Strategy::Auto);
    let tasks: Vec<(Vec<usize>, usize)> = plan
        .tasks
        .iter()
        .map(|task| (task.paths.iter().map(|path| path[1..].parse().unwrap()).collect(), task.gain.files_after))
        .collect();
    let expected: Vec<_> = expected.iter().map(|(files, after)| (files.to_vec(), *after)).collect();
    assert_eq!(tasks, expected, "{files:?}");
}

#[test]
fn small_files_are_packed_into_files_of_the_target_size() {
    check(&[(100, 0); 5], &[(&[0, 1, 2, 3, 4], 1)]);
    check(&[(100, 0); 10], &[(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 2)]);
    // Three of them would become two, two become one.
    check(&[(340, 0), (340, 0), (340, 0)], &[(&[0, 1], 1)]);
    // Full files are not touched.
    check(&[(512, 0), (1, 0), (400, 0), (1, 0), (1, 0), (1, 0)], &[(&[1, 3, 4, 5], 1)]);
}

#[test]
fn what_is_not_worth_its_bytes_is_left_alone() {
    check(&[], &[]);
    check(&[(1, 0)], &[]);
    check(&[(1, 0), (1, 0), (1, 0)], &[]);
    // A file that grows towards the target is not written again for each little one.
    check(&[(200, 0), (1, 0), (1, 0), (1, 0)], &[]);
    check(&[(200, 0), (1, 0), (1, 0), (1, 0), (1, 0)], &[(&[1, 2, 3, 4], 1)]);
    check(&[(200, 0), (70, 0), (70, 0), (70, 0)], &[(&[0, 1, 2, 3], 1)]);
    // Unless it is full then.
    check(&[(380, 0), (10, 0)], &[(&[0, 1], 1)]);
}

#[test]
fn a_file_with_many_deleted_rows_is_written_again_alone_or_with_others() {
    check(&[(512, 512_000 / 5)], &[(&[0], 1)]);
    check(&[(512, 512_000 / 6)], &[]);
    check(&[(512, 512_000)], &[(&[0], 0)]);
    check(&[(512, 256_000), (1, 0), (600, 0)], &[(&[0, 1], 1)]);
    check(&[(1, 1_000), (1, 200)], &[(&[0, 1], 1)]);
}

#[test]
fn a_task_reads_no_more_than_it_may() {
    let files = vec![(100, 0); 50];
    let plan = planned(&table(&files), Strategy::BinPack);
    let bytes: Vec<u64> = plan.tasks.iter().map(|task| task.gain.bytes_before).collect();
    assert_eq!(bytes, [2_000 * MB, 2_000 * MB, 1_000 * MB]);
    let files: usize = plan.tasks.iter().map(|task| task.paths.len()).sum();
    assert_eq!(files, 50);

    let tiny = planned(&table(&vec![(0, 0); 2_500]), Strategy::BinPack);
    let counts: Vec<usize> = tiny.tasks.iter().map(|task| task.paths.len()).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
    // One file may be more than that, and is read by itself.
    assert_eq!(planned(&table(&[(5_000, 2_000_000), (5_000, 2_000_000)]), Strategy::BinPack).tasks.len(), 2);
}

#[test]
fn what_comes_of_a_plan_is_not_planned_again() {
    let mut seed: u64 = 1;
    let mut random = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    for round in 0..300 {
        let count = 1 + random(60);
        let sizes = (0..count).map(|_| {
            let mb = [1, 10, 100, 400, 600][random(5) as usize] + random(40);
            (mb, if random(4) == 0 { random(mb * 1_000) } else { 0 })
        });
        let mut files: Vec<(u64, u64)> = sizes.collect();
        let mut plans = 0;
        loop {
            let plan = planned(&table(&files), Strategy::BinPack);
            if plan.tasks.is_empty() {
                break;
            }
            plans += 1;
            assert!(plans <= 4, "round {round}: {files:?}");
            let gone: HashSet<&String> = plan.tasks.iter().flat_map(|task| &task.paths).collect();
            let mut next: Vec<(u64, u64)> = Vec::new();
            next.extend(data(&files).iter().zip(&files).filter(|(f, _)| !gone.contains(&f.path)).map(|(_, f)| *f));
            for task in &plan.tasks {
                let after = task.gain.files_after as u64;
                next.extend((0..after).map(|_| (task.gain.bytes_after / after / MB, 0)));
            }
            files = next;
        }
    }
}

#[test]
fn partitions_are_planned_by_themselves_and_some_cannot_be() {
    let mut table = table(&[(100, 0); 4]);
    table.partitions[0].name = "day=1".to_owned();
    let mut other = table.partitions[0].clone();
    other.name = "day=2".to_owned();
    other.data.truncate(1);
    let mut foreign = table.partitions[0].clone();
    foreign.name = "day=3".to_owned();
    foreign.obstacle = Some("equality".to_owned());
    table.partitions.extend([other, foreign]);

    let plan = planned(&table, Strategy::Auto);
    assert_eq!(plan.tasks.iter().map(|task| &*task.partition).collect::<Vec<_>>(), ["day=1"]);
    assert_eq!(plan.skipped, [Skipped { partition: "day=3".to_owned(), reason: "equality".to_owned() }]);
}

#[test]
fn the_order_is_that_of_the_strategy_and_of_the_table() {
    let order = |strategy, sort_order_id| {
        let table = TableFacts { sort_order_id, ..table(&[(512, 512_000 / 2)]) };
        let plan = plan_facts(&table, &CompactionPolicy { target_file_bytes: TARGET, strategy });
        plan.map(|plan| match plan.tasks[0].work {
            Work::Rewrite { order, .. } => order,
            Work::MergeDeletes => unreachable!(),
        })
    };
    assert_eq!(order(Strategy::Auto, None).unwrap(), RowOrder::AsWritten);
    assert_eq!(order(Strategy::Auto, Some(1)).unwrap(), RowOrder::Sorted);
    assert_eq!(order(Strategy::BinPack, Some(1)).unwrap(), RowOrder::AsWritten);
    assert_eq!(order(Strategy::Sort, Some(1)).unwrap(), RowOrder::Sorted);
    assert_eq!(order(Strategy::ZOrder, Some(1)).unwrap(), RowOrder::ZOrdered);
    for strategy in [Strategy::Sort, Strategy::ZOrder] {
        assert_eq!(order(strategy, None).unwrap_err().kind(), ErrorKind::Refused);
    }
}

#[test]
fn a_full_file_is_sorted_once() {
    let mut table = table(&[(512, 0), (512, 0)]);
    table.sort_order_id = Some(2);
    table.partitions[0].data[1].sort_order_id = Some(2);
    let plan = planned(&table, Strategy::Sort);
    assert_eq!(plan.tasks.iter().map(|task| &task.paths[..]).collect::<Vec<_>>(), [["f0".to_owned()]]);
}

/// Delete files, each with the data files it names.
fn deletes(files: &[&[&str]]) -> Vec<DeleteFacts> {
    let file = |(number, names): (usize, &&[&str])| DeleteFacts {
        path: format!("d{number}"),
        bytes: 1_000,
        rows: 1,
        data_paths: names.iter().map(|name| name.to_string()).collect(),
    };
    files.iter().enumerate().map(file).collect()
}

#[test]
fn many_delete_files_of_one_data_file_are_merged() {
    let check = |names: &[&[&str]], expected: Option<(usize, usize)>| {
        let mut table = table(&[(512, 9), (512, 9)]);
        table.partitions[0].deletes = deletes(names);
        let plan = planned(&table, Strategy::BinPack);
        let merges: Vec<_> = plan.tasks.iter().map(|task| (task.gain.files_before, task.gain.files_after)).collect();
        assert_eq!(merges, expected.into_iter().collect::<Vec<_>>(), "{names:?}");
    };
    check(&[&["f0"][..]; 8], None);
    check(&[&["f0"][..]; 9], Some((9, 1)));
    check(&[&["f0", "f1"][..]; 9], Some((9, 2)));
    check(&[&["f0"], &["f0"], &["f0"], &["f0"], &["f1"], &["f1"], &["f1"], &["f1"], &["f1"]], None);
    // What nothing that lives is deleted by goes, once it is worth a commit.
    check(&[&[][..]; 7], None);
    check(&[&[][..]; 8], Some((8, 0)));
}

#[test]
fn deletes_of_files_that_are_rewritten_go_with_them() {
    let mut table = table(&[(512, 256_000)]);
    table.partitions[0].deletes = deletes(&[&["f0"][..]; 20]);
    let plan = planned(&table, Strategy::BinPack);
    assert_eq!(plan.tasks.len(), 1);
    assert!(matches!(plan.tasks[0].work, Work::Rewrite { .. }));
}
