//! Types as text: `decimal(12,2)`, `list<string>`, `map<string,long>`, `struct<city:string,zip:int>`.

use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, PrimitiveType, StructType, Type};

/// The type as text, without field ids.
pub(crate) fn of(of: &Type) -> String {
    match of {
        Type::Primitive(PrimitiveType::Decimal { precision, scale }) => format!("decimal({precision},{scale})"),
        Type::Primitive(PrimitiveType::Fixed(length)) => format!("fixed[{length}]"),
        Type::Primitive(primitive) => primitive.to_string(),
        Type::List(list) => format!("list<{}>", self::of(&list.element_field.field_type)),
        Type::Map(map) => {
            format!("map<{},{}>", self::of(&map.key_field.field_type), self::of(&map.value_field.field_type))
        }
        Type::Struct(fields) => {
            let fields = fields.fields().iter().map(|field| format!("{}:{}", field.name, self::of(&field.field_type)));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
    }
}

/// Reads what [`of`] writes. Everything within is optional but the keys of maps, and all ids are 0. `None` where it is
/// no type of Iceberg v2.
pub fn parse_type(text: &str) -> Option<Type> {
    let text = text.trim();
    let inner = |kind: &str| text.strip_prefix(kind)?.strip_prefix('<')?.strip_suffix('>');
    if let Some(element) = inner("list") {
        return Some(Type::List(ListType::new(Arc::new(NestedField::list_element(0, parse_type(element)?, false)))));
    }
    if let Some(entry) = inner("map") {
        let [key, value] = <[&str; 2]>::try_from(parts(entry)).ok()?;
        let key = NestedField::map_key_element(0, parse_type(key)?);
        let value = NestedField::map_value_element(0, parse_type(value)?, false);
        return Some(Type::Map(MapType::new(Arc::new(key), Arc::new(value))));
    }
    if let Some(fields) = inner("struct") {
        let fields = parts(fields).into_iter().enumerate().map(|(index, field)| {
            let (name, field_type) = field.split_once(':')?;
            // Ids within one struct have to differ.
            Some(Arc::new(NestedField::optional(index as i32, name.trim(), parse_type(field_type)?)))
        });
        return Some(Type::Struct(StructType::new(fields.collect::<Option<_>>()?)));
    }
    let primitive: PrimitiveType = serde_json::from_value(text.into()).ok()?;
    let is_legal = match primitive {
        PrimitiveType::Decimal { precision, scale } => (1..=38).contains(&precision) && scale <= precision,
        PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => false,
        _ => true,
    };
    is_legal.then_some(Type::Primitive(primitive))
}

/// The parts between the commas that no bracket encloses.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (index, c) in text.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
