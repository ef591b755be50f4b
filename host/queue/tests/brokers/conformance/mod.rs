//! Every promise of the `Broker` trait, kept by each broker. Whoever adds a broker adds one line here; whoever adds a
//! promise writes a function and its name below (a function without its name is an error of the compiler).

mod enqueueing;
mod fleet;
mod inspecting;
mod leasing;
mod settling;
mod time;

/// Makes the whole suite for the brokers that a constructor of `Subject` makes.
macro_rules! suite {
    ($broker:ident) => {
        mod $broker {
            suite! { $broker:
                enqueueing: {
                    the_same_id_twice_is_one_job,
                    the_same_id_in_two_queues_is_two_jobs,
                    one_bad_job_and_none_is_accepted,
                    a_job_comes_to_its_worker_as_it_was_enqueued,
                    nine_thousand_jobs_pass_in_one_call_of_each_verb,
                    a_payload_may_be_empty_or_large,
                }
                leasing: {
                    jobs_come_first_in_first_out,
                    higher_priority_comes_first,
                    queues_are_taken_in_the_order_asked_for,
                    a_lease_is_bounded_in_jobs_and_in_bytes,
                    two_workers_never_share_a_job,
                    tokens_grow_and_leases_say_when_they_end,
                    looking_into_a_queue_does_not_make_it,
                    an_extended_lease_does_not_expire,
                    an_expired_lease_is_taken_over_without_counting_a_start,
                    reaping_is_bounded_and_takes_the_oldest_first,
                    a_stale_attempt_changes_nothing,
                    a_job_that_kills_its_workers_starts_no_more_often_than_it_may,
                }
                settling: {
                    a_result_is_kept_for_its_time_and_no_longer,
                    a_result_that_is_not_to_be_kept_leaves_nothing,
                    a_retry_waits_for_its_delay,
                    a_retry_without_delay_queues_behind_the_others,
                    a_dead_job_keeps_its_history_and_counters,
                    a_released_job_has_its_place_and_its_attempt_back,
                    a_cancelled_attempt_ends_its_job,
                    settling_again_is_harmless,
                    a_history_stays_bounded_however_often_a_job_fails,
                }
                time: {
                    a_scheduled_job_waits_for_its_time,
                    jobs_that_fall_due_together_come_by_their_times,
                    promote_says_when_to_come_again,
                    a_wait_ends_when_a_job_is_enqueued,
                    a_wait_ends_when_a_job_came_just_before_it,
                    a_wait_ends_when_a_job_comes_back,
                    a_wait_for_nothing_ends_in_time,
                }
                inspecting: {
                    a_job_is_shown_as_it_stands,
                    listings_are_newest_first_and_filtered,
                    queues_are_counted,
                    waiting_jobs_are_cancelled_and_no_others,
                    ended_jobs_are_retried_and_no_others,
                    jobs_that_do_not_run_are_removed,
                    a_purge_removes_what_waits,
                    what_nobody_knows_is_nowhere,
                }
                fleet: {
                    a_worker_is_shown_as_it_announced_itself,
                    a_worker_that_announces_again_is_shown_once_with_its_news,
                    a_worker_that_falls_silent_is_gone_and_later_forgotten,
                    a_worker_that_withdraws_is_shown_no_more,
                    a_long_list_of_running_jobs_is_cut,
                }
            }
        }
    };
    ($broker:ident: $($topic:ident: { $($case:ident,)* })*) => {
        $($(
            #[tokio::test]
            async fn $case() {
                super::$topic::$case(&crate::subject::Subject::$broker().await).await;
            }
        )*)*
    };
}

suite!(sqlite_in_memory);
suite!(sqlite_file);
suite!(redis);
