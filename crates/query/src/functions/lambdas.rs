//! Functions that take a lambda: `transform`, `filter`, `reduce`, `any_match`, `all_match`, `none_match`.
//!
//! `calls` turns `filter(a, x -> x > y)` into `"λ filter"(a, 'x > c0', 'x', y)`: the body as text, its parameters' names,
//! then the values it uses from outside, which go by `c0`, `c1`, …. Body and outside values are evaluated over all
//! elements of a batch at once.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat, filter, interleave, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{DFSchema, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::PhysicalExpr;

use crate::arithmetic::in_athena;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Transform,
    Filter,
    AnyMatch,
    AllMatch,
    NoneMatch,
    Reduce,
}

pub(super) const KINDS: [(&str, Kind); 6] = [
    ("transform", Kind::Transform),
    ("filter", Kind::Filter),
    ("any_match", Kind::AnyMatch),
    ("all_match", Kind::AllMatch),
    ("none_match", Kind::NoneMatch),
    ("reduce", Kind::Reduce),
];

/// What a function that takes a lambda is called once its lambda is text.
pub(super) fn planned_name(name: &str) -> String {
    format!("λ {name}")
}

/// The functions; `session` plans their lambdas.
pub(super) fn all(session: &Arc<SessionState>) -> Vec<ScalarUDF> {
    let make = |(name, kind): (&str, Kind)| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        ScalarUDF::from(Lambda { name: planned_name(name), kind, signature, session: session.clone() })
    };
    KINDS.into_iter().map(make).collect()
}

struct Lambda {
    name: String,
    kind: Kind,
    signature: Signature,
    session: Arc<SessionState>,
}

/// A lambda's body, ready to be evaluated over its parameters and what it uses from outside.
struct Body {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl Body {
    fn data_type(&self) -> Result<DataType> {
        self.expr.data_type(&self.schema)
    }

    fn evaluate(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.expr.evaluate(&batch)?.into_array(rows)
    }
}

impl Lambda {
    fn body(&self, text: &str, parameters: &[(String, DataType)], outside: &[DataType]) -> Result<Body> {
        let of_outside = outside.iter().enumerate().map(|(index, of)| (format!("c{index}"), of.clone()));
        let columns = parameters.iter().cloned().chain(of_outside);
        let fields: Vec<Field> = columns.map(|(name, of)| Field::new(name, of, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let df_schema = DFSchema::try_from(schema.clone())?;
        let expr = in_athena(self.session.create_logical_expr(text, &df_schema)?, &df_schema)?;
        let context = SimplifyContext::default()
            .with_schema(Arc::new(df_schema.clone()))
            .with_config_options(self.session.config_options().clone());
        let simplifier = ExprSimplifier::new(context);
        let expr = simplifier.simplify(simplifier.coerce(expr, &df_schema)?)?;
        Ok(Body { expr: self.session.create_physical_expr(expr, &df_schema)?, schema })
    }

    /// The body of a lambda over one element.
    fn of_element(&self, texts: &[String], list: &DataType, outside: &[DataType]) -> Result<Body> {
        let DataType::List(element) = list else {
            return plan_err!("{} takes an array, not {}", &self.name[3..], crate::type_name::type_name(list));
        };
        self.body(&texts[0], &[(texts[1].clone(), element.data_type().clone())], outside)
    }

    /// `reduce`'s two bodies: state and element to state, and state to result. The state's type is the first body's.
    fn of_reduction(&self, texts: &[String], types: &[DataType]) -> Result<(Body, Body)> {
        let DataType::List(element) = &types[0] else {
            return plan_err!("reduce takes an array, not {}", crate::type_name::type_name(&types[0]));
        };
        let outside = &types[7..];
        let step = |state: &DataType| {
            let parameters = [(texts[1].clone(), state.clone()), (texts[2].clone(), element.data_type().clone())];
            self.body(&texts[0], &parameters, outside)
        };
        let state = step(&types[1])?.data_type()?;
        let state = if state == DataType::Null { types[1].clone() } else { state };
        Ok((step(&state)?, self.body(&texts[3], &[(texts[4].clone(), state)], outside)?))
    }
}

/// The texts among the arguments: a body and its parameters' names.
fn texts(arguments: &[Option<&ScalarValue>]) -> Result<Vec<String>> {
    let text = |value: &Option<&ScalarValue>| match value {
        Some(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => Ok(text.clone()),
        _ => Err(plan_datafusion_err!("a lambda cannot be computed")),
    };
    arguments.iter().map(text).collect()
}

impl ScalarUDFImpl for Lambda {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        datafusion::common::internal_err!("the type depends on the lambda")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| as_list(field.data_type())).collect();
        let data_type = match self.kind {
            Kind::Reduce => self.of_reduction(&texts(&args.scalar_arguments[2..7])?, &types)?.1.data_type()?,
            kind => {
                let body = self.of_element(&texts(&args.scalar_arguments[1..3])?, &types[0], &types[3..])?;
                match kind {
                    Kind::Transform => DataType::new_list(body.data_type()?, true),
                    Kind::Filter => types[0].clone(),
                    _ => DataType::Boolean,
                }
            }
        };
        Ok(Arc::new(Field::new(&self.name, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| as_list(field.data_type())).collect();
        let scalars: Vec<Option<ScalarValue>> = (args.args.iter())
            .map(|arg| if let ColumnarValue::Scalar(value) = arg { Some(value.clone()) } else { None })
            .collect();
        let scalars: Vec<Option<&ScalarValue>> = scalars.iter().map(Option::as_ref).collect();
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>()?;
        let lists = cast(&arrays[0], &types[0])?;
        let lists = lists.as_list::<i32>();
        let result = match self.kind {
            Kind::Reduce => {
                let (step, finish) = self.of_reduction(&texts(&scalars[2..7])?, &types)?;
                reduce(lists, &arrays[1], &step, &finish, &arrays[7..])?
            }
            kind => {
                let body = self.of_element(&texts(&scalars[1..3])?, &types[0], &types[3..])?;
                over_elements(kind, lists, &body, &arrays[3..])?
            }
        };
        Ok(ColumnarValue::Array(cast(&result, args.return_field.data_type())?))
    }
}

fn as_list(data_type: &DataType) -> DataType {
    match data_type {
        DataType::FixedSizeList(element, _) | DataType::LargeList(element) => DataType::List(element.clone()),
        other => other.clone(),
    }
}

fn over_elements(kind: Kind, lists: &ListArray, body: &Body, outside: &[ArrayRef]) -> Result<ArrayRef> {
    let offsets = lists.value_offsets();
    let elements = lists.values().slice(offsets[0] as usize, (offsets[lists.len()] - offsets[0]) as usize);
    let rows = (0..lists.len()).flat_map(|row| std::iter::repeat_n(row as u32, lists.value_length(row) as usize));
    let rows: UInt32Array = rows.collect();
    let mut columns = vec![elements.clone()];
    for array in outside {
        columns.push(take(array, &rows, None)?);
    }
    let values = body.evaluate(columns, elements.len())?;
    let of_row = |row: usize| (offsets[row] - offsets[0]) as usize..(offsets[row + 1] - offsets[0]) as usize;
    if kind == Kind::Transform {
        let lengths = OffsetBuffer::from_lengths((0..lists.len()).map(|row| of_row(row).len()));
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        return Ok(Arc::new(ListArray::try_new(field, lengths, values, lists.nulls().cloned())?));
    }
    let holds = cast(&values, &DataType::Boolean)?;
    let holds = holds.as_boolean();
    let at = |place: usize| holds.is_valid(place).then(|| holds.value(place));
    if kind == Kind::Filter {
        let kept: BooleanArray = (0..holds.len()).map(|place| Some(at(place) == Some(true))).collect();
        let length = |row: usize| of_row(row).filter(|place| kept.value(*place)).count();
        let lengths = OffsetBuffer::from_lengths((0..lists.len()).map(length));
        let DataType::List(field) = lists.data_type() else { return plan_err!("a list is not a list") };
        let values = filter(&elements, &kept)?;
        return Ok(Arc::new(ListArray::try_new(field.clone(), lengths, values, lists.nulls().cloned())?));
    }
    // `any` and `all` of three-valued logic: NULL where an unknown element decides.
    let decides = kind != Kind::AllMatch;
    let matches = (0..lists.len()).map(|row| {
        if lists.is_null(row) {
            return None;
        }
        let found = match () {
            () if of_row(row).any(|place| at(place) == Some(decides)) => decides,
            () if of_row(row).any(|place| at(place).is_none()) => return None,
            () => !decides,
        };
        Some(if kind == Kind::NoneMatch { !found } else { found })
    });
    Ok(Arc::new(matches.collect::<BooleanArray>()))
}

/// All first elements of the batch in one go, then all second ones, and so on.
fn reduce(lists: &ListArray, start: &ArrayRef, step: &Body, finish: &Body, outside: &[ArrayRef]) -> Result<ArrayRef> {
    let state_type = finish.schema.field(0).data_type().clone();
    let mut states = cast(start, &state_type)?;
    let length_max = (0..lists.len()).map(|row| lists.value_length(row)).max().unwrap_or(0);
    for index in 0..length_max {
        let rows: Vec<usize> = (0..lists.len()).filter(|row| lists.value_length(*row) > index).collect();
        let places: UInt64Array = rows.iter().map(|row| (lists.value_offsets()[*row] + index) as u64).collect();
        let of_rows: UInt64Array = rows.iter().map(|row| *row as u64).collect();
        let mut columns = vec![take(&states, &of_rows, None)?, take(lists.values(), &places, None)?];
        for array in outside {
            columns.push(take(array, &of_rows, None)?);
        }
        let stepped = cast(&step.evaluate(columns, rows.len())?, &state_type)?;
        let mut sources: Vec<(usize, usize)> = (0..lists.len()).map(|row| (0, row)).collect();
        for (place, row) in rows.into_iter().enumerate() {
            sources[row] = (1, place);
        }
        states = interleave(&[states.as_ref(), stepped.as_ref()], &sources)?;
    }
    let finished = finish.evaluate(std::iter::once(states).chain(outside.iter().cloned()).collect(), lists.len())?;
    let nothing = new_null_array(finished.data_type(), 1);
    let all = concat(&[finished.as_ref(), nothing.as_ref()])?;
    let sources: UInt64Array =
        (0..lists.len()).map(|row| if lists.is_valid(row) { row } else { lists.len() } as u64).collect();
    Ok(take(&all, &sources, None)?)
}

impl std::fmt::Debug for Lambda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lambda").field("kind", &self.kind).finish()
    }
}

impl PartialEq for Lambda {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Lambda {}

impl Hash for Lambda {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}
