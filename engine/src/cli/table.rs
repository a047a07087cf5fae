//! Plain tables for people: a header, columns as wide as their widest cell, two spaces between them.

/// Lays out `rows` under `header`; every row has as many cells as the header.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let lines: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    lines.iter().map(|line| row(line, &widths)).collect()
}

/// Lays out `facts` as two columns without a header.
pub(super) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let lines: Vec<[String; 2]> =
        facts.into_iter().map(|(name, value)| [format!("{name}:"), value]).collect();
    let width = lines.iter().map(|[name, _]| name.chars().count()).max().unwrap_or(0);
    lines.iter().map(|line| row(line, &[width, 0])).collect()
}

fn row(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["1".to_owned(), "web".to_owned()], ["10".to_owned(), "mail ünd".to_owned()]];
        let expected = "SLOT  NAME\n1     web\n10    mail ünd\n";
        assert_eq!(super::table(["SLOT", "NAME"], rows), expected);
    }

    #[test]
    fn facts_align_their_values() {
        let facts = [("key", "1".to_owned()), ("algorithm", "p-256".to_owned())];
        assert_eq!(super::facts(facts), "key:        1\nalgorithm:  p-256\n");
    }
}
