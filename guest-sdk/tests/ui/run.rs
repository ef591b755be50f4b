use afresh::task;

#[task]
fn resize() {}

fn forgotten() {}

struct Crop;

fn main() {
    afresh::run!(resize, Crop);
    afresh::run!();
    afresh::run!(forgotten);
}
