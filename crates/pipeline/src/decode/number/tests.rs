use super::{NotANumber, Number};

fn text(number: &str) -> String {
    let mut text = Vec::new();
    Number::parse(number).unwrap().write_text(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn equal_numbers_have_one_text() {
    let cases = [
        (&["0", "-0", "0.000", "0E99", "+0"][..], "0"),
        (&["1", "1.0", "1E0", "10e-1", "001", "+1", "0.1E1", "1."], "1"),
        (&["-12.50", "-1.25E1"], "-12.5"),
        (&[".5", "0.5", "5E-1"], "0.5"),
        (&["0.00123", "123e-5"], "0.00123"),
        (&["1200", "1.2E+3", "12E2"], "1200"),
    ];
    for (equal, expected) in cases {
        for number in equal {
            assert_eq!(text(number), expected, "{number}");
        }
    }
}

#[test]
fn all_38_digits_survive() {
    for number in [
        "12345678901234567890123456789012345678",
        "99999999999999999999999999999999999999",
        "-0.12345678901234567890123456789012345678",
        "1234567890123456789.0123456789012345678",
    ] {
        assert_eq!(text(number), number);
    }
}

#[test]
fn what_dynamodb_has_no_room_for_is_out_of_range() {
    let digits_39 = "1".repeat(39);
    for number in [&digits_39, "1E126", "-1E126", "9.9E-131", "1E999999999999", "1E-999999999999", "10E125"] {
        assert_eq!(Number::parse(number), Err(NotANumber::OutOfRange), "{number}");
    }
    for number in ["1E125", "9.9999999999999999999999999999999999999E125", "1E-130", "0E999"] {
        assert!(Number::parse(number).is_ok(), "{number}");
    }
    assert!(Number::parse(&format!("1{}", "0".repeat(60))).is_ok(), "trailing zeros are not significant");
}

#[test]
fn other_text_is_not_a_number() {
    for text in ["", "-", ".", "E5", "1E", "1E+", "1.2.3", "1 ", " 1", "0x10", "NaN", "Infinity", "١", "1_000", "--1"]
    {
        assert_eq!(Number::parse(text), Err(NotANumber::Malformed), "{text:?}");
    }
}

#[test]
fn an_integer_fits_or_it_does_not() {
    let cases = [
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("1E18", Some(1_000_000_000_000_000_000)),
        ("1E19", None),
        ("1.5", None),
        ("15E-1", None),
        ("1.50E1", Some(15)),
        ("1E125", None),
    ];
    for (number, expected) in cases {
        assert_eq!(Number::parse(number).unwrap().to_i64(), expected, "{number}");
    }
}

#[test]
fn a_decimal_is_exact_or_it_is_none() {
    let cases = [
        ("123.45", 12, 2, Some(12345)),
        ("123.4", 12, 2, Some(12340)),
        ("123.456", 12, 2, None),
        ("-9999999999.99", 12, 2, Some(-999_999_999_999)),
        ("10000000000", 12, 2, None),
        ("0", 12, 2, Some(0)),
        ("1E-130", 38, 38, None),
        ("0.1", 38, 38, Some(10i128.pow(37))),
        ("1", 38, 38, None),
    ];
    for (number, precision, scale, expected) in cases {
        assert_eq!(Number::parse(number).unwrap().to_scaled(precision, scale), expected, "{number}");
    }
}

#[test]
fn numbers_order_by_value() {
    let ordered =
        ["-1E125", "-20", "-2", "-1.5", "-1E-130", "0", "1E-130", "0.5", "1", "1.0000001", "2", "10", "1E125"];
    let numbers: Vec<_> = ordered.iter().map(|text| Number::parse(text).unwrap()).collect();
    assert!(numbers.is_sorted());
}
