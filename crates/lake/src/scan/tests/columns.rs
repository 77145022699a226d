use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float32Array, Int32Array, Int64Array, ListArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{ListType, Literal, MapType, NestedField, PrimitiveType, StructType, Type};

use crate::scan::tests::support::*;

fn column(id: i32, name: &str, primitive: PrimitiveType) -> NestedField {
    NestedField::optional(id, name, Type::Primitive(primitive))
}

#[tokio::test]
async fn a_widened_column_reads_old_and_new_files() {
    let decimal = |precision| PrimitiveType::Decimal { precision, scale: 2 };
    let columns =
        |int, float, precision| vec![column(1, "n", int), column(2, "f", float), column(3, "d", decimal(precision))];
    let decimals = |value: i128, precision| -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, 2).unwrap())
    };
    let mut table = TestTable::new(columns(PrimitiveType::Int, PrimitiveType::Float, 5));
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    table.append(vec![ints, Arc::new(Float32Array::from(vec![1.5])), decimals(150, 5)]).await;
    table.evolve(columns(PrimitiveType::Long, PrimitiveType::Double, 12)).await;
    let doubles: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![2.5]));
    table.append(vec![longs([1 << 40]), doubles, decimals(1234567890, 12)]).await;

    let all = ["1|1.5|1.50", "1099511627776|2.5|12345678.90"];
    assert_eq!(table.query("SELECT * FROM t ORDER BY n").await, all);
    assert_eq!(table.query("SELECT n FROM t WHERE n < 5").await, ["1"]);
    assert_eq!(table.query("SELECT n FROM t WHERE n > 5").await, ["1099511627776"]);
    assert_eq!(table.query("SELECT f FROM t WHERE f < 2").await, ["1.5"]);
    assert_eq!(table.query("SELECT d FROM t WHERE d > 2").await, ["12345678.90"]);
    assert_eq!(table.query("SELECT sum(n), min(n), sum(d) FROM t").await, ["1099511627777|1|12345680.40"]);
}

#[tokio::test]
async fn a_renamed_column_keeps_its_values() {
    let mut table = TestTable::new(vec![long(1, "a"), string(2, "b")]);
    table.append(vec![longs([1]), strings(["x"])]).await;
    table.evolve(vec![long(1, "b"), string(2, "a")]).await;
    table.append(vec![longs([2]), strings(["y"])]).await;
    assert_eq!(table.query("SELECT b, a FROM t ORDER BY b").await, ["1|x", "2|y"]);
    assert_eq!(table.query("SELECT b FROM t WHERE a = 'x'").await, ["1"]);
    assert_eq!(table.query("SELECT a FROM t WHERE b = 2").await, ["y"]);
}

#[tokio::test]
async fn a_column_dropped_and_added_again_does_not_show_old_values() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    table.append(vec![longs([1]), strings(["old"])]).await;
    table.evolve(vec![long(1, "id")]).await;
    table.evolve(vec![long(1, "id"), string(3, "name")]).await;
    table.append(vec![longs([2]), strings(["new"])]).await;
    assert_eq!(table.query("SELECT * FROM t ORDER BY id").await, ["1|null", "2|new"]);
    assert_eq!(table.query("SELECT id FROM t WHERE name = 'old'").await, Vec::<String>::new());
    assert_eq!(table.query("SELECT id FROM t WHERE name IS NULL").await, ["1"]);
    assert_eq!(table.query("SELECT count(name) FROM t").await, ["1"]);
}

#[tokio::test]
async fn a_missing_column_reads_as_null_or_as_its_initial_default() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    table.append(vec![longs([1])]).await;
    let version = NestedField::required(3, "version", Type::Primitive(PrimitiveType::Long));
    let fields = vec![long(1, "id"), string(2, "name"), version.with_initial_default(Literal::long(7))];
    table.evolve(fields).await;
    table.append(vec![longs([2]), strings(["b"]), longs([8])]).await;
    assert_eq!(table.query("SELECT * FROM t ORDER BY id").await, ["1|null|7", "2|b|8"]);
    assert_eq!(table.query("SELECT id FROM t WHERE version = 7").await, ["1"]);
    assert_eq!(table.query("SELECT id FROM t WHERE name IS NULL").await, ["1"]);
}

#[tokio::test]
async fn columns_may_change_their_order() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    table.append(vec![longs([1]), strings(["a"])]).await;
    table.evolve(vec![string(2, "name"), long(1, "id")]).await;
    assert_eq!(table.query("SELECT * FROM t").await, ["a|1"]);
    assert_eq!(table.query("SELECT name FROM t WHERE id = 1").await, ["a"]);
}

/// `s: struct<…>`, `l: list<struct<…>>`, `m: map<string, struct<…>>`, all of the same fields; ids from 100, 200, 300.
fn nested(fields: impl Fn(i32) -> Vec<NestedField>) -> Vec<NestedField> {
    let inner = |base| Type::Struct(StructType::new(fields(base).into_iter().map(Arc::new).collect()));
    let element = NestedField::list_element(10, inner(200), false);
    let key = NestedField::map_key_element(11, Type::Primitive(PrimitiveType::String));
    let value = NestedField::map_value_element(12, inner(300), false);
    vec![
        NestedField::optional(1, "s", inner(100)),
        NestedField::optional(2, "l", Type::List(ListType::new(Arc::new(element)))),
        NestedField::optional(3, "m", Type::Map(MapType::new(Arc::new(key), Arc::new(value)))),
    ]
}

#[tokio::test]
async fn fields_inside_nested_values_are_found_by_id() {
    let before = |base| vec![column(base, "a", PrimitiveType::Int), string(base + 1, "b"), long(base + 2, "gone")];
    // `a` is widened, `b` renamed, `gone` dropped and its name given to a new field.
    let after = |base| vec![string(base + 1, "c"), long(base, "a"), string(base + 3, "gone")];
    let mut table = TestTable::new(nested(before));
    let values: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![1])), strings(["x"]), Arc::new(Int64Array::from(vec![5]))];
    let columns = nested_columns(&table, values);
    table.append(columns).await;

    table.evolve(nested(after)).await;
    let columns = nested_columns(&table, vec![strings(["y"]), longs([2]), strings(["z"])]);
    table.append(columns).await;

    let sql = "SELECT s, l, m FROM t ORDER BY s['a']";
    let old = "{c: x, a: 1, gone: null}";
    let new = "{c: y, a: 2, gone: z}";
    let expected = [old, new].map(|row| {
        let row = row.replace("null", "");
        format!("{row}|[{row}]|{{k: {row}}}")
    });
    let rows: Vec<String> = table.query(sql).await.iter().map(|row| row.replace("null", "")).collect();
    assert_eq!(rows, expected);
    assert_eq!(table.query("SELECT s['c'] FROM t WHERE s['a'] = 1").await, ["x"]);
    assert_eq!(table.query("SELECT s['gone'] FROM t ORDER BY s['a']").await, ["null", "z"]);
    assert_eq!(table.query("SELECT l[1]['c'] FROM t ORDER BY s['a'] DESC").await, ["y", "x"]);
}

/// One row of the three nested columns, each holding the struct `values`.
fn nested_columns(table: &TestTable, values: Vec<ArrayRef>) -> Vec<ArrayRef> {
    let schema = schema_to_arrow_schema(&table.schema()).unwrap();
    let structs = |fields: &Fields| StructArray::new(fields.clone(), values.clone(), None);
    let inner = |field: &FieldRef| match field.data_type() {
        DataType::Struct(fields) => structs(fields),
        other => panic!("{other} is not a struct"),
    };
    let one = || OffsetBuffer::new(vec![0, 1].into());
    let DataType::List(element) = schema.field(1).data_type() else { panic!("l is a list") };
    let DataType::Map(entries, _) = schema.field(2).data_type() else { panic!("m is a map") };
    let DataType::Struct(entry) = entries.data_type() else { panic!("entries are structs") };
    let pairs = StructArray::new(entry.clone(), vec![strings(["k"]), Arc::new(inner(&entry[1]))], None);
    vec![
        Arc::new(inner(&Arc::new(schema.field(0).clone()))),
        Arc::new(ListArray::new(element.clone(), one(), Arc::new(inner(element)), None)),
        Arc::new(MapArray::new(entries.clone(), one(), pairs, None, false)),
    ]
}

#[tokio::test]
async fn a_field_added_inside_of_nested_values_is_null_in_old_files() {
    let mut table = TestTable::new(nested(|base| vec![column(base, "a", PrimitiveType::Int)]));
    let columns = nested_columns(&table, vec![Arc::new(Int32Array::from(vec![1]))]);
    table.append(columns).await;
    table.evolve(nested(|base| vec![column(base, "a", PrimitiveType::Long), string(base + 1, "b")])).await;
    let columns = nested_columns(&table, vec![longs([2]), strings(["x"])]);
    table.append(columns).await;
    for field in ["s['b']", "l[1]['b']", "m['k']['b']"] {
        assert_eq!(table.query(&format!("SELECT {field} FROM t ORDER BY s['a']")).await, ["null", "x"], "{field}");
        assert_eq!(table.query(&format!("SELECT s['a'] FROM t WHERE {field} IS NULL")).await, ["1"], "{field}");
        assert_eq!(table.query(&format!("SELECT s['a'] FROM t WHERE {field} = 'x'")).await, ["2"], "{field}");
    }
    for field in ["s['a']", "l[1]['a']", "m['k']['a']"] {
        assert_eq!(table.query(&format!("SELECT {field} FROM t WHERE {field} > 1")).await, ["2"], "{field}");
        assert_eq!(table.query(&format!("SELECT {field} FROM t WHERE {field} < 2")).await, ["1"], "{field}");
    }
}
