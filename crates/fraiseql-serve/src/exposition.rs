//! Writes the Prometheus text format, version 0.0.4. Knows nothing of what is counted.

use std::fmt::Write;

/// The content type of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page in the making.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a metric family.
    pub(crate) fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n")));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// Writes a counter without labels.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.sample(name, &[], value);
    }

    /// Writes a gauge without labels.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// Writes one sample of the family begun last.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.line(format_args!("{name}{} {value}", in_braces(labels)));
    }

    /// Writes one sample of a number of microseconds as seconds, without rounding.
    pub(crate) fn micros(&mut self, name: &str, labels: &[(&str, &str)], micros: u64) {
        let labels = in_braces(labels);
        self.line(format_args!("{name}{labels} {}.{:06}", micros / 1_000_000, micros % 1_000_000));
    }

    /// Returns the page.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes every write");
    }
}

fn in_braces(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let labels: Vec<String> =
        labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escape(text))).collect();
    format!("{{{}}}", labels.join(","))
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_seconds_are_written_as_the_format_wants() {
        let mut page = Exposition::default();
        page.gauge("a", "Two\nlines.", 1);
        page.sample("b", &[("x", "q\"\\\n"), ("y", "")], 2);
        page.micros("c", &[], 1_000_050);
        let expected =
            "# HELP a Two\\nlines.\n# TYPE a gauge\na 1\nb{x=\"q\\\"\\\\\\n\",y=\"\"} 2\nc 1.000050\n";
        assert_eq!(page.finish(), expected);
    }
}
