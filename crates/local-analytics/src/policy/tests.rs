use std::collections::BTreeSet;

use aws_wire::{Action, Columns, Decision};

use super::*;

const ANA: &str = "arn:aws:iam::000000000000:user/ana";
const LAKE: &str = "s3tablescatalog/lake";

fn table() -> TableId {
    TableId { catalog: LAKE.into(), database: "analytics".into(), table: "transactions".into() }
}

fn names(columns: &[&str]) -> BTreeSet<String> {
    columns.iter().map(|column| (*column).to_owned()).collect()
}

fn grant(resource: Granted, permissions: &[Permission]) -> Grant {
    let permissions = permissions.iter().copied().collect();
    Grant { principal: ANA.into(), resource, permissions, grantable: BTreeSet::new() }
}

fn filter(name: &str, row_filter: Option<&str>, columns: Option<&[&str]>, excluded: &[&str]) -> CellsFilter {
    CellsFilter {
        table: table(),
        name: name.into(),
        row_filter: row_filter.map(str::to_owned),
        columns: columns.map(names),
        excluded: names(excluded),
        version: "1".into(),
    }
}

fn policy(grants: Vec<Grant>, filters: Vec<CellsFilter>) -> Policy {
    Policy { grants, filters, ..Policy::default() }
}

fn ask(policy: &Policy, arn: &str, action: Action) -> Decision {
    decide(policy, Principal { arn, is_administrator: false }, action, &table())
}

#[track_caller]
fn check(grants: Vec<Grant>, filters: Vec<CellsFilter>, expected: Decision) {
    assert_eq!(ask(&policy(grants, filters), ANA, Action::Select), expected);
}

fn columns(columns: Columns) -> Decision {
    Decision::Allowed { columns, row_filter: None }
}

use Granted::{AllColumnsBut, AllTables, CellsFilter as Filter, Columns as Some_, Table};
use Permission::{All, Describe, Insert, Select};

#[test]
fn nothing_is_allowed_that_is_not_granted() {
    for action in [Action::Select, Action::Describe, Action::Insert, Action::Alter, Action::Drop, Action::CreateTable] {
        assert_eq!(ask(&Policy::default(), ANA, action), Decision::Denied, "{action:?}");
    }
    let elsewhere = TableId { table: "orders".into(), ..table() };
    check(vec![grant(Table(elsewhere), &[All])], vec![], Decision::Denied);
    let other_catalog = TableId { catalog: "s3tablescatalog/other".into(), ..table() };
    check(vec![grant(Table(other_catalog), &[All])], vec![], Decision::Denied);
    check(vec![grant(Table(table()), &[Describe, Insert])], vec![], Decision::Denied);
}

#[test]
fn administrators_may_do_everything() {
    let root = Principal { arn: "arn:aws:iam::000000000000:root", is_administrator: true };
    assert_eq!(decide(&Policy::default(), root, Action::Drop, &table()), Decision::WHOLE);
    let policy = Policy { administrators: names(&[ANA]), ..Policy::default() };
    assert_eq!(ask(&policy, ANA, Action::Select), Decision::WHOLE);
    let policy = Policy { read_only_administrators: names(&[ANA]), ..Policy::default() };
    assert_eq!(ask(&policy, ANA, Action::Select), Decision::Denied);
    assert_eq!(ask(&policy, ANA, Action::Describe), Decision::WHOLE);
}

#[test]
fn a_grant_on_a_table_or_on_all_of_them_shows_the_whole_table() {
    check(vec![grant(Table(table()), &[Select])], vec![], Decision::WHOLE);
    check(vec![grant(Table(table()), &[All])], vec![], Decision::WHOLE);
    let all = AllTables { catalog: LAKE.into(), database: "analytics".into() };
    check(vec![grant(all, &[Select])], vec![], Decision::WHOLE);
    // Everything on a database is nothing on its tables.
    let database = Granted::Database { catalog: LAKE.into(), database: "analytics".into() };
    check(vec![grant(database, &[All])], vec![], Decision::Denied);
}

#[test]
fn column_grants_add_up() {
    let some = |list: &[&str]| grant(Some_(table(), names(list)), &[Select]);
    let but = |list: &[&str]| grant(AllColumnsBut(table(), names(list)), &[Select]);
    check(vec![some(&["a"])], vec![], columns(Columns::Only(names(&["a"]))));
    check(vec![some(&["a"]), some(&["b"])], vec![], columns(Columns::Only(names(&["a", "b"]))));
    check(vec![but(&["a", "b"])], vec![], columns(Columns::AllBut(names(&["a", "b"]))));
    check(vec![but(&["a", "b"]), some(&["a"])], vec![], columns(Columns::AllBut(names(&["b"]))));
    check(vec![but(&["a"]), but(&["b"])], vec![], Decision::WHOLE);
    check(vec![but(&["a"]), grant(Table(table()), &[Select])], vec![], Decision::WHOLE);
}

#[test]
fn a_cells_filter_limits_rows_and_columns() {
    let on = |name: &str| grant(Filter(table(), name.into()), &[Select]);
    let eu = filter("eu", Some("region = 'EU'"), Some(&["id", "region"]), &[]);
    let limited = |columns, row_filter: &str| Decision::Allowed { columns, row_filter: Some(row_filter.into()) };
    check(vec![on("eu")], vec![eu.clone()], limited(Columns::Only(names(&["id", "region"])), "region = 'EU'"));
    // One that is gone shows nothing.
    check(vec![on("eu")], vec![], Decision::Denied);
    assert_eq!(ask(&policy(vec![on("eu")], vec![]), ANA, Action::Describe), Decision::Denied);
    // Of two, the rows are united and the columns intersected.
    let us = filter("us", Some("region = 'US'"), None, &["region"]);
    let both = limited(Columns::Only(names(&["id"])), "(region = 'EU') OR (region = 'US')");
    check(vec![on("eu"), on("us")], vec![eu.clone(), us], both);
    let apart = filter("apart", Some("amount > 1"), Some(&["amount"]), &[]);
    let first = limited(Columns::Only(names(&["id", "region"])), "region = 'EU'");
    check(vec![on("eu"), on("apart")], vec![eu.clone(), apart], first);
    // Where all rows are granted, those columns it is.
    let some = grant(Some_(table(), names(&["amount"])), &[Select]);
    check(vec![on("eu"), some], vec![eu], columns(Columns::Only(names(&["amount"]))));
    check(vec![on("all")], vec![filter("all", None, None, &[])], Decision::WHOLE);
}

#[test]
fn a_session_of_a_role_has_the_rights_of_the_role_and_no_others() {
    let mut granted = grant(Table(table()), &[Select]);
    granted.principal = "arn:aws:iam::000000000000:role/Reader".into();
    let policy = policy(vec![granted], vec![]);
    let session = |arn| ask(&policy, arn, Action::Select).is_allowed();
    assert!(session("arn:aws:sts::000000000000:assumed-role/Reader/me"));
    assert!(!session("arn:aws:sts::111122223333:assumed-role/Reader/me"));
    assert!(!session("arn:aws:sts::000000000000:assumed-role/Reader2/me"));
    assert!(!session(ANA));
}

#[test]
fn everybody_is_everybody_of_the_account() {
    for principal in [EVERYBODY, "000000000000:IAMPrincipals"] {
        let mut granted = grant(Table(table()), &[Select]);
        granted.principal = principal.into();
        assert_eq!(ask(&policy(vec![granted], vec![]), ANA, Action::Select), Decision::WHOLE);
    }
}

#[test]
fn whoever_may_see_a_table_may_see_the_way_to_it() {
    let lake = CatalogName::TableBucket("lake".into());
    let ana = Principal { arn: ANA, is_administrator: false };
    let policy = policy(vec![grant(Some_(table(), names(&["a"])), &[Select])], vec![]);
    assert!(sees_database(&policy, ana, &lake, "analytics") && sees_catalog(&policy, ana, &lake));
    assert!(!sees_database(&policy, ana, &lake, "private"));
    assert!(!sees_catalog(&policy, ana, &CatalogName::TableBucket("other".into())));
    assert_eq!(ask(&policy, ANA, Action::Describe), Decision::WHOLE);
    assert_eq!(ask(&policy, ANA, Action::Insert), Decision::Denied);
}
