//! Values of a request as SQL: cast parameters, never text.

use crate::ir::{Operand, OperandValue};
use crate::sql::Writer;

impl Writer<'_> {
    /// Returns a value as SQL.
    pub(crate) fn operand(&mut self, operand: &Operand) -> String {
        let sql_type = &operand.sql_type;
        match &operand.value {
            OperandValue::Null { array } => format!("NULL::{sql_type}{}", if *array { "[]" } else { "" }),
            OperandValue::One(param) => format!("{}::{sql_type}", self.param(param.clone())),
            OperandValue::Call { function, param } => {
                format!("{function}({}::{sql_type})", self.param(param.clone()))
            }
            OperandValue::Array(param) => format!("{}::{sql_type}[]", self.param(param.clone())),
            OperandValue::Composite(param) => {
                let json = self.param(param.clone());
                format!("json_populate_record(NULL::{sql_type}, {json}::pg_catalog.json)")
            }
            OperandValue::CompositeArray(param) => {
                let json = self.param(param.clone());
                format!(
                    "ARRAY(SELECT json_populate_record(NULL::{sql_type}, \"e\") \
                     FROM json_array_elements({json}::pg_catalog.json) AS \"e\")"
                )
            }
            OperandValue::Input { document, composite, list } => {
                self.input(sql_type, document, *composite, *list)
            }
            OperandValue::Elements(elements) => {
                let elements: Vec<String> = elements.iter().map(|element| self.operand(element)).collect();
                format!("ARRAY[{}]::{sql_type}[]", elements.join(", "))
            }
        }
    }
}
