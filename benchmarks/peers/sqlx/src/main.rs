//! The modes of pg_bench.cpp by sqlx: DEPTH tasks share a pool of eight connections.
//!   bench CONNINFO DEPTH COUNT [WARM_UP [MODE]]
use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;
use std::time::Instant;

use sqlx::postgres::{PgPool, PgPoolCopyExt, PgPoolOptions};
use sqlx::Row;

const ONE: &str = "select id, random_number from world where id = $1";

#[derive(Default)]
struct Progress {
    left: Cell<i64>,
    id: Cell<i32>,
    sum: Cell<i64>,
}

impl Progress {
    fn next_id(&self) -> i32 {
        self.id.set((self.id.get() + 7919) % 10_000);
        self.id.get()
    }
    fn take(&self, count: i64) -> bool {
        let before = self.left.replace(self.left.get() - count);
        before > 0
    }
    fn add(&self, value: i64) {
        self.sum.set(self.sum.get() + value);
    }
}

async fn one(pool: &PgPool, progress: &Progress) -> sqlx::Result<()> {
    let row = sqlx::query(ONE).bind(progress.next_id() + 1).fetch_one(pool).await?;
    progress.add(row.get::<i32, _>(0) as i64 + row.get::<i32, _>(1) as i64);
    Ok(())
}

async fn work(pool: PgPool, progress: Rc<Progress>, mode: String) -> sqlx::Result<()> {
    while progress.take(if mode == "queries" { 20 } else { 1 }) {
        match mode.as_str() {
            "queries" => {
                futures_util::future::try_join_all((0..20).map(|_| one(&pool, &progress))).await?;
            }
            "updates" => {
                let id = progress.next_id();
                let done = sqlx::query("update world set random_number = $2 where id = $1")
                    .bind(id + 1)
                    .bind(id)
                    .execute(&pool)
                    .await?;
                progress.add(done.rows_affected() as i64);
            }
            "fortunes" => {
                for row in sqlx::query("select id, message from fortune").fetch_all(&pool).await? {
                    progress.add(row.get::<i32, _>(0) as i64 + row.get::<String, _>(1).len() as i64);
                }
            }
            _ => one(&pool, &progress).await?,
        }
    }
    Ok(())
}

async fn run(pool: &PgPool, progress: &Rc<Progress>, depth: usize, count: i64, mode: &str) -> sqlx::Result<()> {
    if mode == "copy" {
        let mut copy = pool.copy_in_raw("copy bulk (id, name, value) from stdin").await?;
        let mut out = String::new();
        for row in (1..=count).rev() {
            writeln!(out, "{row}\ta name of some length\t{}", row as f64 / 8.0).unwrap();
            if out.len() >= 32 * 1024 {
                copy.send(out.as_bytes()).await?;
                out.clear();
            }
        }
        copy.send(out.as_bytes()).await?;
        progress.add(copy.finish().await? as i64);
        return Ok(());
    }
    progress.left.set(count);
    let tasks: Vec<_> = (0..depth)
        .map(|_| tokio::task::spawn_local(work(pool.clone(), progress.clone(), mode.to_string())))
        .collect();
    for task in tasks {
        task.await.expect("a task")?;
    }
    Ok(())
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

async fn measure(arguments: Vec<String>) -> sqlx::Result<()> {
    let number = |index: usize| arguments.get(index).map_or(0, |text| text.parse::<i64>().expect("a number"));
    let (depth, count, warm_up) = (number(2) as usize, number(3), number(4));
    let mode = arguments.get(5).map_or("single", String::as_str);
    let pool = PgPoolOptions::new().min_connections(8).max_connections(8).connect(&arguments[1]).await?;
    let progress = Rc::new(Progress::default());
    run(&pool, &progress, depth, warm_up, mode).await?;
    if mode == "copy" {
        sqlx::query("truncate bulk").execute(&pool).await?;
    }
    progress.sum.set(0);
    let (cpu, begin) = (cpu_seconds(), Instant::now());
    run(&pool, &progress, depth, count, mode).await?;
    let (cpu, seconds) = (cpu_seconds() - cpu, begin.elapsed().as_secs_f64());
    println!(
        "{{\"cpu_us\": {:.4}, \"per_second\": {:.1}, \"checksum\": {}}}",
        cpu * 1e6 / count as f64,
        count as f64 / seconds,
        progress.sum.get()
    );
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() < 4 {
        eprintln!("usage: bench CONNINFO DEPTH COUNT [WARM_UP [MODE]]");
        std::process::exit(2);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    if let Err(error) = local.block_on(&runtime, measure(arguments)) {
        eprintln!("bench: {error}");
        std::process::exit(1);
    }
}
