//! What was measured, as a table.

use std::fmt;

/// One measurement.
#[derive(Clone, Copy)]
pub struct Cell {
    /// Events handled.
    pub event_count: u64,
    /// The sum over the model's state.
    pub check: u64,
    /// CPU time of the loop.
    pub cpu_ns: u64,
}

/// All measurements, by kernel and workload.
pub struct Table {
    kernels: Vec<&'static str>,
    columns: Vec<&'static str>,
    cells: Vec<Vec<Vec<Cell>>>,
}

impl Table {
    /// An empty table.
    pub fn new(kernels: Vec<&'static str>, columns: Vec<&'static str>) -> Self {
        let cells = vec![vec![Vec::new(); columns.len()]; kernels.len()];
        Table { kernels, columns, cells }
    }

    /// Adds one measurement.
    pub fn add(&mut self, kernel_idx: usize, column_idx: usize, cell: Cell) {
        self.cells[kernel_idx][column_idx].push(cell);
    }

    /// Whether every kernel did the same work. Sums may differ by a millionth: some
    /// kernels keep time in floating point.
    pub fn check_equal_work(&self) -> Result<(), String> {
        for (column_idx, column) in self.columns.iter().enumerate() {
            let Some(reference) = self.cells[0][column_idx].first() else { continue };
            for (kernel, row) in self.kernels.iter().zip(&self.cells) {
                for cell in &row[column_idx] {
                    let is_close = |a: u64, b: u64| a.abs_diff(b) <= b / 1_000_000;
                    if !is_close(cell.event_count, reference.event_count)
                        || !is_close(cell.check, reference.check)
                    {
                        return Err(format!(
                            "{column}: {kernel} handled {} events with sum {}, expected {} with {}",
                            cell.event_count, cell.check, reference.event_count, reference.check
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Median and minimum of the nanoseconds per event.
    fn figures(&self, kernel_idx: usize, column_idx: usize) -> Option<(f64, f64)> {
        let cells = &self.cells[kernel_idx][column_idx];
        // Everybody's time is divided by our count, so that no kernel gains by counting
        // bookkeeping as events.
        let event_count = self.cells[0][column_idx].first()?.event_count as f64;
        let mut times: Vec<f64> =
            cells.iter().map(|cell| cell.cpu_ns as f64 / event_count).collect();
        times.sort_by(f64::total_cmp);
        Some((*times.get(times.len() / 2)?, times[0]))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU nanoseconds per event, median (minimum):\n")?;
        self.write_rows(f, |table, kernel_idx, column_idx| {
            let (median, minimum) = table.figures(kernel_idx, column_idx)?;
            Some(format!("{median:.1} ({minimum:.1})"))
        })?;
        writeln!(f, "\nTimes as long as {}, by medians:\n", self.kernels[0])?;
        self.write_rows(f, |table, kernel_idx, column_idx| {
            let (own, _) = table.figures(0, column_idx)?;
            let (median, _) = table.figures(kernel_idx, column_idx)?;
            Some(format!("{:.1}x", median / own))
        })
    }
}

impl Table {
    fn write_rows(
        &self,
        f: &mut fmt::Formatter<'_>,
        text: impl Fn(&Table, usize, usize) -> Option<String>,
    ) -> fmt::Result {
        writeln!(f, "| kernel | {} |", self.columns.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.columns.len()))?;
        for (kernel_idx, kernel) in self.kernels.iter().enumerate() {
            write!(f, "| {kernel} |")?;
            for column_idx in 0..self.columns.len() {
                let text = text(self, kernel_idx, column_idx).unwrap_or_else(|| "-".into());
                write!(f, " {text} |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
