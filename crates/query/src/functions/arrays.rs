//! Functions of arrays and maps.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, UInt32Array, UInt64Array};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::plan_err;
use datafusion::error::Result;

use crate::functions::json::read_as;
use crate::functions::scalar::{Scalar, count};

pub(super) fn all() -> Vec<Scalar> {
    vec![element_at(), json_cast()]
}

/// An array's element, counted from 1, from the end where negative; a map's value. NULL where there is none.
pub(crate) fn element_at() -> Scalar {
    Scalar::new("element_at", takes_element, element, at)
}

/// `CAST(json AS ARRAY(…))`: `json_cast(json, <a null of the type>)`.
fn json_cast() -> Scalar {
    let takes = |types: &[DataType]| count::<2>(types).map(|()| vec![DataType::Utf8, types[1].clone()]);
    Scalar::new(
        "json_cast",
        takes,
        |types| Ok(types[1].clone()),
        |arrays, to| {
            let json: &StringArray = arrays[0].as_string::<i32>();
            read_as(json, to)
        },
    )
}

fn takes_element(types: &[DataType]) -> Result<Vec<DataType>> {
    count::<2>(types)?;
    match &types[0] {
        DataType::List(_) => Ok(vec![types[0].clone(), DataType::Int64]),
        DataType::FixedSizeList(element, _) | DataType::LargeList(element) => {
            Ok(vec![DataType::List(element.clone()), DataType::Int64])
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => Ok(vec![types[0].clone(), entry[0].data_type().clone()]),
            other => plan_err!("{other} is no entry of a map"),
        },
        other => plan_err!("element_at takes an array or a map, not {}", crate::type_name::type_name(other)),
    }
}

fn element(types: &[DataType]) -> Result<DataType> {
    match &types[0] {
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            Ok(element.data_type().clone())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => Ok(entry[1].data_type().clone()),
            other => plan_err!("{other} is no entry of a map"),
        },
        other => plan_err!("element_at takes an array or a map, not {}", crate::type_name::type_name(other)),
    }
}

fn at(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    match arrays[0].data_type() {
        DataType::Map(..) => value_at(arrays),
        _ => {
            let (lists, indices) = (arrays[0].as_list::<i32>(), arrays[1].as_primitive::<Int64Type>());
            let places = (0..lists.len()).map(|row| {
                if lists.is_null(row) || indices.is_null(row) {
                    return None;
                }
                let (length, index) = (i64::from(lists.value_length(row)), indices.value(row));
                let from_start = if index > 0 { index - 1 } else { length + index };
                let is_inside = index != 0 && (0..length).contains(&from_start);
                is_inside.then(|| i64::from(lists.value_offsets()[row]) + from_start)
            });
            let places = cast(&places.collect::<Int64Array>(), &DataType::UInt64)?;
            Ok(take(lists.values(), places.as_ref(), None)?)
        }
    }
}

fn value_at(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let maps = arrays[0].as_map();
    let offsets = maps.value_offsets();
    let entries = offsets[0] as usize..offsets[maps.len()] as usize;
    let rows = (0..maps.len()).flat_map(|row| std::iter::repeat_n(row as u32, maps.value_length(row) as usize));
    let wanted = take(&arrays[1], &rows.collect::<UInt32Array>(), None)?;
    let found = eq(&maps.keys().slice(entries.start, entries.len()), &wanted)?;
    let places = (0..maps.len()).map(|row| {
        let mut of_row = offsets[row] as usize..offsets[row + 1] as usize;
        let is_meant = |place: &usize| found.is_valid(place - entries.start) && found.value(place - entries.start);
        of_row.find(is_meant).filter(|_| maps.is_valid(row)).map(|place| place as u64)
    });
    let places: UInt64Array = places.collect();
    Ok(take(maps.values(), &places, None)?)
}
