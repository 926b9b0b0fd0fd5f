//! Small matrices: as many rows as a queue has ways to be busy.

/// By row.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    rows: usize,
    columns: usize,
    cells: Vec<f64>,
}

impl Matrix {
    pub(super) fn zero(rows: usize, columns: usize) -> Self {
        Self { rows, columns, cells: vec![0.0; rows * columns] }
    }

    pub(super) fn diagonal(of: impl ExactSizeIterator<Item = f64>) -> Self {
        let mut all = Self::zero(of.len(), of.len());
        of.enumerate().for_each(|(at, value)| *all.at(at, at) = value);
        all
    }

    pub(super) fn at(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.cells[row * self.columns + column]
    }

    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.cells[row * self.columns..(row + 1) * self.columns]
    }

    fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.cells[row * self.columns..(row + 1) * self.columns]
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut product = Self::zero(self.rows, other.columns);
        for row in 0..self.rows {
            let into = product.row_mut(row);
            for (at, factor) in self.row(row).iter().enumerate().filter(|(_, it)| **it != 0.0) {
                for (sum, cell) in into.iter_mut().zip(other.row(at)) {
                    *sum += factor * cell;
                }
            }
        }
        product
    }

    /// This with each cell as `of` has it from both.
    pub(super) fn with(mut self, other: &Self, of: impl Fn(f64, f64) -> f64) -> Self {
        for (own, other) in self.cells.iter_mut().zip(&other.cells) {
            *own = of(*own, *other);
        }
        self
    }

    pub(super) fn scaled(mut self, factor: f64) -> Self {
        self.cells.iter_mut().for_each(|cell| *cell *= factor);
        self
    }

    pub(super) fn largest(&self) -> f64 {
        self.cells.iter().fold(0.0, |most: f64, cell| most.max(cell.abs()))
    }

    /// A row of numbers times this.
    pub(super) fn after(&self, row: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.columns];
        for (at, factor) in row.iter().enumerate() {
            for (sum, cell) in product.iter_mut().zip(self.row(at)) {
                *sum += factor * cell;
            }
        }
        product
    }

    /// The inverse, by Gauss and Jordan with the largest pivots.
    pub(super) fn inverse(mut self) -> Self {
        let count = self.rows;
        let mut inverse = Self::diagonal((0..count).map(|_| 1.0));
        for step in 0..count {
            let size = |row: &usize| self.row(*row)[step].abs();
            let best = (step..count).max_by(|one, other| size(one).total_cmp(&size(other)));
            let best = best.unwrap_or(step);
            for column in 0..count {
                self.cells.swap(step * count + column, best * count + column);
                inverse.cells.swap(step * count + column, best * count + column);
            }
            let pivot = self.row(step)[step];
            for side in [&mut self, &mut inverse] {
                side.row_mut(step).iter_mut().for_each(|cell| *cell /= pivot);
            }
            for row in (0..count).filter(|row| *row != step) {
                let factor = self.row(row)[step];
                if factor == 0.0 {
                    continue;
                }
                for side in [&mut self, &mut inverse] {
                    for column in 0..count {
                        let cell = side.row(step)[column];
                        *side.at(row, column) -= factor * cell;
                    }
                }
            }
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let mut some = Matrix::zero(3, 3);
        for (at, value) in [0.0, 2.0, 1.0, 3.0, -1.0, 4.0, 5.0, 0.5, 2.0].into_iter().enumerate() {
            *some.at(at / 3, at % 3) = value;
        }
        let one = some.times(&some.clone().inverse());
        let off = one.with(&Matrix::diagonal((0..3).map(|_| 1.0)), |own, other| own - other);
        assert!(off.largest() < 1e-12, "{off:?}");
    }
}
