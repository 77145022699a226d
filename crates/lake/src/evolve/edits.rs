//! Edits by field id, made to a schema in one walk.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type};

#[derive(Default)]
pub(super) struct Edits {
    by_id: BTreeMap<i32, Edit>,
    pub additions: Vec<Addition>,
}

#[derive(Default)]
pub(super) struct Edit {
    pub is_dropped: bool,
    pub is_optional: bool,
    pub renamed: Option<String>,
    pub widened: Option<PrimitiveType>,
}

/// A new optional field at the end of a struct, or of the table.
pub(super) struct Addition {
    pub path: String,
    /// The struct's field id; `None` for the table itself.
    pub parent: Option<i32>,
    pub name: String,
    pub field_type: Type,
}

impl Edits {
    pub fn of(&mut self, id: i32) -> &mut Edit {
        self.by_id.entry(id).or_default()
    }

    /// The columns with the edits. New fields get ids above `last_id`.
    pub fn apply(&self, schema: &Schema, last_id: i32) -> Result<Vec<NestedFieldRef>, String> {
        let mut walk = Walk { edits: self, last_id, walked: HashSet::new() };
        let fields = walk.fields(None, schema.as_struct().fields())?;
        match self.additions.iter().find(|addition| !walk.walked.contains(&addition.parent)) {
            Some(addition) => Err(format!("{} would be added to what is dropped", addition.path)),
            None => Ok(fields),
        }
    }
}

struct Walk<'a> {
    edits: &'a Edits,
    last_id: i32,
    /// The structs seen, by field id; `None` is the table.
    walked: HashSet<Option<i32>>,
}

impl Walk<'_> {
    fn fields(&mut self, parent: Option<i32>, before: &[NestedFieldRef]) -> Result<Vec<NestedFieldRef>, String> {
        self.walked.insert(parent);
        let mut fields = Vec::with_capacity(before.len());
        for field in before {
            if !self.edits.by_id.get(&field.id).is_some_and(|edit| edit.is_dropped) {
                fields.push(self.field(field)?);
            }
        }
        for addition in self.edits.additions.iter().filter(|addition| addition.parent == parent) {
            self.last_id += 1;
            let id = self.last_id;
            fields.push(Arc::new(NestedField::optional(id, &addition.name, self.with_fresh_ids(&addition.field_type))));
        }
        if fields.is_empty() {
            return Err("nothing would be left of what it is dropped from".to_owned());
        }
        let mut names = HashSet::new();
        // Engines that do not tell cases apart would not know which of two is meant.
        match fields.iter().find(|field| !names.insert(field.name.to_lowercase())) {
            Some(twice) => Err(format!("there would be two columns {}", twice.name)),
            None => Ok(fields),
        }
    }

    fn field(&mut self, before: &NestedFieldRef) -> Result<NestedFieldRef, String> {
        let mut field = before.as_ref().clone();
        if let Some(edit) = self.edits.by_id.get(&before.id) {
            field.required &= !edit.is_optional;
            field.name = edit.renamed.clone().unwrap_or(field.name);
            field.field_type = edit.widened.clone().map_or(field.field_type, |to| Box::new(Type::Primitive(to)));
        }
        field.field_type = Box::new(match *field.field_type {
            Type::Struct(of) => Type::Struct(StructType::new(self.fields(Some(before.id), of.fields())?)),
            Type::List(of) => Type::List(ListType::new(self.field(&of.element_field)?)),
            Type::Map(of) => Type::Map(MapType::new(of.key_field.clone(), self.field(&of.value_field)?)),
            primitive => primitive,
        });
        Ok(Arc::new(field))
    }

    fn with_fresh_ids(&mut self, of: &Type) -> Type {
        match of {
            Type::Struct(of) => Type::Struct(StructType::new(of.fields().iter().map(|f| self.fresh(f)).collect())),
            Type::List(of) => Type::List(ListType::new(self.fresh(&of.element_field))),
            Type::Map(of) => Type::Map(MapType::new(self.fresh(&of.key_field), self.fresh(&of.value_field))),
            primitive => primitive.clone(),
        }
    }

    fn fresh(&mut self, field: &NestedFieldRef) -> NestedFieldRef {
        self.last_id += 1;
        let mut fresh = NestedField { id: self.last_id, ..field.as_ref().clone() };
        fresh.field_type = Box::new(self.with_fresh_ids(&field.field_type));
        Arc::new(fresh)
    }
}
