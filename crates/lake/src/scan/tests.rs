mod columns;
mod deletes;
mod pruning;
mod reads;
mod support;
