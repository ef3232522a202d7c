//! Time printed with GFLOP/s and GB/s.

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

use crate::reading::read_speed;

/// Wall time whose throughput in elements is printed as floating point operations.
#[derive(Debug, Default)]
pub struct OperationTime;

impl Measurement for OperationTime {
    type Intermediate = <WallTime as Measurement>::Intermediate;
    type Value = <WallTime as Measurement>::Value;

    fn start(&self) -> Self::Intermediate {
        WallTime.start()
    }

    fn end(&self, start: Self::Intermediate) -> Self::Value {
        WallTime.end(start)
    }

    fn add(&self, left: &Self::Value, right: &Self::Value) -> Self::Value {
        WallTime.add(left, right)
    }

    fn zero(&self) -> Self::Value {
        WallTime.zero()
    }

    fn to_f64(&self, value: &Self::Value) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for OperationTime {
    /// Bytes come with the share of what the machine reads from memory, measured in the same run.
    fn format_throughput(&self, throughput: &Throughput, value: f64) -> String {
        let mut values = [value];
        let unit = self.scale_throughputs(value, throughput, &mut values);
        match throughput {
            Throughput::Bytes(_) | Throughput::BytesDecimal(_) => {
                let read = read_speed();
                let share = 100.0 * values[0] / read;
                format!(
                    "{:.1} {unit} ({share:.0} % of {read:.1} GB/s read)",
                    values[0]
                )
            }
            _ => format!("{:.1} {unit}", values[0]),
        }
    }

    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        _typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        // Values are nanoseconds, so one per nanosecond is a billion per second.
        let (amount, unit) = match *throughput {
            Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes) => (bytes, "GB/s"),
            Throughput::Elements(operations) => (operations, "GFLOP/s"),
            _ => (0, "?"),
        };
        for value in values {
            *value = amount as f64 / *value;
        }
        unit
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}

/// Floating point operations as a throughput.
#[must_use]
pub fn flops(operations: f64) -> Throughput {
    Throughput::Elements(operations as u64)
}
