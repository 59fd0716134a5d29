//! CPU time, of a process and of the machine.

use std::fs;

/// Nanoseconds that all threads of process `pid` have run, from the scheduler's own accounts: far
/// finer than the ticks of /proc/PID/stat. Threads that have ended are missing; ours do not end.
pub fn of_process(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let run_time = |task: fs::DirEntry| {
        let account = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        account.split_whitespace().next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.map(|task| run_time(task.unwrap())).sum()
}

/// Seconds that all cores together were idle, in steps of 10 ms. What is not idle is busy; the busy
/// fields of /proc/stat themselves are sampled by a timer that a paced sender escapes (they showed
/// less for the whole machine than the scheduler for the sender alone).
pub fn idle_of_machine() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields: Vec<&str> = stat.lines().next().unwrap().split_whitespace().collect();
    // user, nice, system, idle, iowait, counted from 1.
    fields[4..6].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}
