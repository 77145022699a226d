use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use proptest::prelude::*;

use super::hash_keys;
use crate::error::ErrorKind;

fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

fn cast_to(column: &ArrayRef, data_type: DataType) -> ArrayRef {
    cast(column, &data_type).unwrap()
}

#[test]
fn the_hash_of_a_key_is_pinned() {
    let columns = [array(StringArray::from(vec!["acct-1"])), array(Int64Array::from(vec![7]))];
    assert_eq!(
        hash_keys(&columns).unwrap(),
        [21748797397347533820991475786873862320],
        "a stored index needs a new version when this changes"
    );
}

#[test]
fn keys_that_differ_only_in_where_a_part_ends_differ() {
    let hash =
        |a: &str, b: &str| hash_keys(&[array(StringArray::from(vec![a])), array(StringArray::from(vec![b]))]).unwrap();
    assert_ne!(hash("ab", "c"), hash("a", "bc"));
    assert_ne!(hash("", "a"), hash("a", ""));
}

#[test]
fn text_and_bytes_and_numbers_of_one_content_differ() {
    let text = hash_keys(&[array(StringArray::from(vec!["1"]))]).unwrap();
    let bytes = hash_keys(&[array(BinaryArray::from(vec![b"1".as_slice()]))]).unwrap();
    let number = hash_keys(&[array(Int64Array::from(vec![1]))]).unwrap();
    assert_ne!(text, bytes);
    assert_ne!(text, number);
}

#[test]
fn a_null_in_a_key_is_refused() {
    let error = hash_keys(&[array(StringArray::from(vec![Some("a"), None]))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let error = hash_keys(&[new_null_array(&DataType::Null, 1)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let error = hash_keys(&[new_null_array(&dictionary, 1)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn a_slice_hashes_as_the_rows_it_shows() {
    let all = array(StringArray::from(vec!["a", "b", "c"]));
    assert_eq!(hash_keys(&[all.slice(1, 2)]).unwrap(), hash_keys(&[all]).unwrap()[1..]);
}

proptest! {
    #[test]
    fn text_hashes_by_content(texts in prop::collection::vec(".{0,20}", 1..20)) {
        let plain = array(StringArray::from(texts));
        let expected = hash_keys(&[Arc::clone(&plain)]).unwrap();
        let dictionary = |keys, values| DataType::Dictionary(Box::new(keys), Box::new(values));
        for data_type in [
            DataType::LargeUtf8,
            DataType::Utf8View,
            dictionary(DataType::Int32, DataType::Utf8),
            dictionary(DataType::UInt16, DataType::LargeUtf8),
        ] {
            prop_assert_eq!(&hash_keys(&[cast_to(&plain, data_type)]).unwrap(), &expected);
        }
    }

    #[test]
    fn bytes_hash_by_content(bytes in prop::collection::vec(prop::array::uniform4(any::<u8>()), 1..20)) {
        let plain = array(BinaryArray::from_iter_values(&bytes));
        let expected = hash_keys(&[Arc::clone(&plain)]).unwrap();
        for data_type in [DataType::LargeBinary, DataType::BinaryView, DataType::FixedSizeBinary(4)] {
            prop_assert_eq!(&hash_keys(&[cast_to(&plain, data_type)]).unwrap(), &expected);
        }
    }

    #[test]
    fn numbers_hash_by_value(numbers in prop::collection::vec(any::<i32>(), 1..20)) {
        let int = array(Int32Array::from(numbers.clone()));
        let expected = hash_keys(&[Arc::clone(&int)]).unwrap();
        for data_type in [DataType::Int64, DataType::Decimal128(38, 0), DataType::Decimal128(38, 10)] {
            prop_assert_eq!(&hash_keys(&[cast_to(&int, data_type)]).unwrap(), &expected);
        }
        let distinct: std::collections::HashSet<_> = numbers.iter().collect();
        let hashes: std::collections::HashSet<_> = expected.iter().collect();
        prop_assert_eq!(distinct.len(), hashes.len());
    }

    #[test]
    fn timestamps_hash_by_instant(seconds in prop::collection::vec(-4_000_000_000_i64..4_000_000_000, 1..20)) {
        let plain = array(arrow::array::TimestampSecondArray::from(seconds));
        let expected = hash_keys(&[Arc::clone(&plain)]).unwrap();
        for unit in [TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            let zoned = cast_to(&plain, DataType::Timestamp(unit, Some("+00:00".into())));
            prop_assert_eq!(&hash_keys(&[zoned]).unwrap(), &expected);
        }
    }
}
