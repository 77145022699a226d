//! Changes of a schema that files already written survive, and why others are refused.
//!
//! All names are those that the table has before any of the changes; columns are added last. So two columns may swap
//! their names, and a dropped column's name may go to a new one.

use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, Type};

use crate::error::{Error, ErrorKind, Result};
use crate::evolve::edits::{Addition, Edits};
use crate::evolve::pins::Pin;
use crate::evolve::text;

const DECIMAL_PRECISION_MAX: u32 = 38;

/// One change. A path is a column's name, and leads into it by dots: `place.zip`, `lines.element.price`,
/// `tags.value.since`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaChange {
    /// A column, or a field of a struct, that is null in every row there is. Ids in its type mean nothing.
    Add {
        path: String,
        field_type: Type,
    },
    /// To a type that holds every value of the present one.
    Widen {
        path: String,
        to: PrimitiveType,
    },
    /// `to` is the last part alone: a field stays where it is.
    Rename {
        path: String,
        to: String,
    },
    MakeOptional {
        path: String,
    },
    Drop {
        path: String,
    },
}

/// What changes are made to.
pub(super) struct Base<'a> {
    pub schema: &'a Schema,
    /// Ids up to this one were given out, if not all of them are in the schema.
    pub last_column_id: i32,
    pub pins: &'a [(i32, Pin)],
}

/// The schema with all of `changes`. `Refused`, with the reason, where one of them is illegal.
pub(super) fn changed(base: &Base<'_>, changes: &[SchemaChange]) -> Result<Schema> {
    let mut edits = Edits::default();
    for change in changes {
        base.add(change, &mut edits).map_err(|reason| {
            let message = format!("{}: {reason}", change.doing());
            Error::new(ErrorKind::Refused, message)
        })?;
    }
    let refused = |reason| Error::new(ErrorKind::Refused, format!("change the schema: {reason}"));
    let fields = edits.apply(base.schema, base.last_column_id).map_err(refused)?;
    let identifiers = base.schema.identifier_field_ids();
    let schema = Schema::builder().with_fields(fields).with_identifier_field_ids(identifiers).build();
    schema.map_err(|error| Error::new(ErrorKind::Refused, "change the schema").with_source(error))
}

impl SchemaChange {
    fn doing(&self) -> String {
        match self {
            Self::Add { path, field_type } => format!("add {path} as {}", text::of(field_type)),
            Self::Widen { path, to } => format!("widen {path} to {}", text::of(&to.clone().into())),
            Self::Rename { path, to } => format!("rename {path} to {to}"),
            Self::MakeOptional { path } => format!("make {path} optional"),
            Self::Drop { path } => format!("drop {path}"),
        }
    }
}

impl Base<'_> {
    fn add(&self, change: &SchemaChange, edits: &mut Edits) -> Result<(), String> {
        match change {
            SchemaChange::Add { path, field_type } => {
                let (parent, name) = self.parent_of(path)?;
                check_name(name)?;
                let path = path.clone();
                edits.additions.push(Addition { path, parent, name: name.to_owned(), field_type: field_type.clone() });
            }
            SchemaChange::Widen { path, to } => {
                let (_, field) = self.changeable(path)?;
                check_widening(field, to)?;
                self.check_pins(field, |pin| pin.forbids_widening())?;
                edits.of(field.id).widened = once(edits.of(field.id).widened.take(), to.clone())?;
            }
            SchemaChange::Rename { path, to } => {
                let field = self.member(path)?;
                check_name(to)?;
                self.check_pins(field, |pin| pin.forbids_renaming())?;
                edits.of(field.id).renamed = once(edits.of(field.id).renamed.take(), to.clone())?;
            }
            SchemaChange::MakeOptional { path } => {
                let (_, field) = self.changeable(path)?;
                if !field.required {
                    return Err("it is optional already".to_owned());
                }
                self.check_pins(field, |pin| pin.forbids_null())?;
                edits.of(field.id).is_optional = true;
            }
            SchemaChange::Drop { path } => {
                let field = self.member(path)?;
                for id in ids_within(field) {
                    self.check_pins_of(id, path, |pin| pin.forbids_dropping())?;
                }
                edits.of(field.id).is_dropped = true;
            }
        }
        Ok(())
    }

    /// The field and its full path: `lines.price` is found as `lines.element.price`.
    fn find(&self, path: &str) -> Result<(&str, &NestedFieldRef), String> {
        let field = self.schema.field_by_name(path).ok_or_else(|| match path.rsplit_once('.') {
            Some((parent, name)) if self.schema.field_by_name(parent).is_some() => format!("{parent} has no {name}"),
            _ => format!("there is no such column; the table has {}", names(self.schema).join(", ")),
        })?;
        Ok((self.schema.name_by_field_id(field.id).unwrap_or(&field.name), field))
    }

    fn type_of(&self, path: &str) -> Option<&Type> {
        self.schema.field_by_name(path).map(|field| field.field_type.as_ref())
    }

    /// A field that is not the key of a map, nor within one.
    fn changeable(&self, path: &str) -> Result<(&str, &NestedFieldRef), String> {
        let (path, field) = self.find(path)?;
        for (end, _) in path.match_indices(".key") {
            let is_whole = matches!(path.as_bytes().get(end + ".key".len()), None | Some(b'.'));
            if is_whole && matches!(self.type_of(&path[..end]), Some(Type::Map(_))) {
                return Err(format!("the keys of the map {} cannot change", &path[..end]));
            }
        }
        Ok((path, field))
    }

    /// A field with a name of its own: a column, or a field of a struct.
    fn member(&self, path: &str) -> Result<&NestedFieldRef, String> {
        let (path, field) = self.changeable(path)?;
        match path.rsplit_once('.').and_then(|(parent, name)| Some((parent, name, self.type_of(parent)?))) {
            None | Some((_, _, Type::Struct(_))) => Ok(field),
            Some((parent, name, _)) => Err(format!("the {name} of {parent} goes with it")),
        }
    }

    /// The struct that a new field goes into, by its id, and the field's name. `None` is the table itself.
    fn parent_of<'p>(&self, path: &'p str) -> Result<(Option<i32>, &'p str), String> {
        let Some((parent, name)) = path.rsplit_once('.') else { return Ok((None, path)) };
        let (parent, field) = self.changeable(parent)?;
        match *field.field_type {
            Type::Struct(_) => Ok((Some(field.id), name)),
            Type::List(_) => Err(format!("{parent} is a list; what is in it is {parent}.element.{name}")),
            Type::Map(_) => Err(format!("{parent} is a map; what is in it is {parent}.value.{name}")),
            Type::Primitive(_) => Err(format!("{parent} is a {}, not a struct", field.field_type)),
        }
    }

    fn check_pins(&self, field: &NestedFieldRef, forbids: impl Fn(&Pin) -> bool) -> Result<(), String> {
        self.check_pins_of(field.id, &field.name, forbids)
    }

    fn check_pins_of(&self, id: i32, of: &str, forbids: impl Fn(&Pin) -> bool) -> Result<(), String> {
        let pin = self.pins.iter().find(|(pinned, pin)| *pinned == id && forbids(pin));
        let Some((_, pin)) = pin else { return Ok(()) };
        match self.schema.name_by_field_id(id) {
            Some(inner) if inner.len() > of.len() && inner.starts_with(of) => Err(format!("{pin} ({inner})")),
            _ => Err(pin.to_string()),
        }
    }
}

fn check_widening(field: &NestedFieldRef, to: &PrimitiveType) -> Result<(), String> {
    use PrimitiveType::{Decimal, Double, Float, Int, Long};
    let now = text::of(&field.field_type);
    let Type::Primitive(from) = field.field_type.as_ref() else {
        return Err(format!("it is a {now}"));
    };
    if field.initial_default.is_some() {
        return Err("it has a default of its present type".to_owned());
    }
    match (from, to) {
        (Int, Long) | (Float, Double) => Ok(()),
        (from, to) if from == to => Err(format!("it is {now} already")),
        (Decimal { precision: p1, scale: s1 }, Decimal { precision: p2, scale: s2 }) if s1 == s2 => {
            match (p1 < p2, *p2 <= DECIMAL_PRECISION_MAX) {
                (true, true) => Ok(()),
                (true, false) => Err(format!("a decimal has at most {DECIMAL_PRECISION_MAX} digits")),
                (false, _) => Err(format!("it is {now}, which has more digits")),
            }
        }
        _ => Err(format!(
            "it is {now}; int widens to long, float to double, a decimal to more digits with as many behind the point"
        )),
    }
}

/// Names as the query engines on AWS see them. A dot would lead into a column.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains('.') || name.chars().any(|c| c.is_control()) {
        return Err(format!("{name:?} is not a column's name"));
    }
    if name.chars().any(char::is_uppercase) {
        return Err(format!("a column's name is in lower case, as Athena and S3 Tables ask: {}", name.to_lowercase()));
    }
    Ok(())
}

fn once<T: PartialEq>(before: Option<T>, now: T) -> Result<Option<T>, String> {
    match before {
        Some(before) if before != now => Err("it is changed twice".to_owned()),
        _ => Ok(Some(now)),
    }
}

fn ids_within(field: &NestedFieldRef) -> Vec<i32> {
    let mut ids = Vec::new();
    let mut open = vec![field];
    while let Some(field) = open.pop() {
        ids.push(field.id);
        match field.field_type.as_ref() {
            Type::Struct(of) => open.extend(of.fields()),
            Type::List(of) => open.push(&of.element_field),
            Type::Map(of) => open.extend([&of.key_field, &of.value_field]),
            Type::Primitive(_) => {}
        }
    }
    ids
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.as_struct().fields().iter().map(|field| field.name.as_str()).collect()
}
