//! Every promise of the `Broker` trait, kept by each broker. Whoever adds a broker adds one line here; whoever adds a
//! promise writes a function and its name below (a function without its name is an error of the compiler).

mod cancelling;
mod enqueueing;
mod expiry;
mod fairness;
mod fleet;
mod flows;
mod inspecting;
mod leasing;
mod limits;
mod periodic;
mod settling;
mod telling;
mod time;
mod unique;

/// Makes the whole suite for the brokers that a constructor of `Subject` makes, a test for each promise; or `together`, on
/// one `Site`, where making another for each test would take minutes.
macro_rules! suite {
    ($tests:ident $broker:ident) => {
        mod $broker {
            suite! { $tests $broker:
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
                    each_lease_has_a_token_of_its_own_and_says_when_it_ends,
                    looking_into_a_queue_does_not_make_it,
                    an_extended_lease_does_not_expire,
                    an_expired_lease_is_taken_over_without_counting_a_start,
                    reaping_is_bounded_and_takes_the_oldest_first,
                    a_stale_attempt_changes_nothing,
                    a_job_that_kills_its_workers_starts_no_more_often_than_it_may,
                    a_job_that_kills_its_workers_is_dead_after_a_few_whatever_it_may,
                    a_job_that_was_only_held_ahead_took_no_worker_down,
                    a_job_whose_leases_never_arrive_is_not_dead_before_it_waited_too_often,
                    it_is_known_which_attempts_had_begun_when_their_worker_vanished,
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
                    jobs_that_an_attempt_enqueued_come_with_its_settlement_or_not_at_all,
                }
                time: {
                    a_scheduled_job_waits_for_its_time,
                    jobs_that_fall_due_together_come_by_their_times,
                    promote_says_when_to_come_again,
                    a_wait_ends_when_a_job_is_enqueued,
                    a_wait_ends_when_a_job_came_just_before_it,
                    a_wait_ends_when_a_job_comes_back,
                    a_wait_ends_for_what_is_due_soon_though_only_leases_came_before_it,
                    a_wait_for_nothing_ends_in_time,
                }
                limits: {
                    no_more_jobs_run_under_a_limit_than_it_says,
                    held_jobs_are_in_nobodys_way,
                    each_key_has_a_limit_of_its_own,
                    a_job_under_two_limits_starts_when_both_let_it_and_holds_nobody_up,
                    held_jobs_start_in_their_order_and_by_priority,
                    jobs_that_ran_already_count,
                    a_job_that_comes_back_or_is_lost_gives_its_room_back,
                    what_is_cancelled_removed_or_expires_while_it_could_start_lets_the_next_one,
                    held_jobs_are_cancelled_removed_and_purged_like_others,
                    a_rate_lets_jobs_start_as_its_bucket_fills,
                    a_rate_that_is_raised_holds_at_once,
                    a_queue_has_a_limit_too,
                    a_paused_queue_starts_nothing_until_it_is_resumed,
                    a_paused_task_waits_and_the_others_go_on,
                    a_wait_ends_when_a_held_job_may_start,
                    rules_are_shown_with_what_they_do,
                    a_rule_that_cannot_be_is_refused_and_changes_nothing,
                }
                fairness: {
                    keys_take_turns_however_many_jobs_each_has,
                    one_job_does_not_wait_for_anothers_thousands,
                    a_key_that_was_away_saves_nothing_up,
                    turns_are_taken_within_a_priority,
                    what_comes_back_takes_its_place_or_a_new_turn,
                    a_queue_becomes_fair_and_first_in_first_out_again,
                }
                unique: {
                    while_it_waits,
                    until_it_has_ended_in_whichever_way,
                    for_a_time_whatever_becomes_of_it,
                    keys_of_other_queues_and_other_keys_do_not_matter,
                    a_retry_by_hand_takes_its_key_back_if_it_is_free,
                    a_key_that_cannot_be_is_refused,
                }
                expiry: {
                    a_job_that_was_not_started_in_time_expires,
                    a_lease_gives_out_nothing_that_is_too_late,
                    a_job_that_was_started_does_not_expire,
                    a_job_that_was_handed_back_unstarted_may_still_expire,
                    who_retries_an_expired_job_wants_it_run,
                }
                cancelling: {
                    the_worker_of_a_running_job_is_told,
                    a_worker_that_missed_it_learns_it_from_its_heartbeat,
                    it_does_not_run_again,
                    one_that_ends_first_has_ended,
                }
                telling: {
                    progress_and_log_are_seen_while_the_job_runs_and_afterwards,
                    a_log_keeps_the_newest_lines_of_all_attempts_within_its_bounds,
                    dead_jobs_that_failed_alike_are_one_group,
                    dead_jobs_are_kept_for_their_time,
                    dead_jobs_are_kept_while_there_is_room_for_them,
                }
                periodic: {
                    a_job_is_made_for_each_time_and_is_like_any_other,
                    many_workers_make_one_job_for_each_time,
                    times_that_were_missed_are_skipped_or_run_once,
                    a_paused_one_makes_nothing_and_goes_on_from_its_next_time,
                    adding_it_again_unchanged_drops_no_time_that_has_come,
                    a_removed_one_is_gone_and_its_jobs_stay,
                    one_that_cannot_be_or_is_elsewhere_is_refused,
                    a_wait_ends_when_one_is_added_that_is_due_soon,
                }
                flows: {
                    a_chain_passes_each_reply_on_and_is_enqueued_one_by_one,
                    a_chain_that_breaks_goes_no_further_until_it_is_retried,
                    a_chain_or_batch_that_cannot_be_is_refused_and_nothing_is_enqueued,
                    a_batch_calls_back_once_all_have_ended_in_whichever_way,
                    a_callback_is_told_the_counts_and_what_it_was_given,
                    a_batch_is_there_once_and_whole_or_not_at_all,
                    a_chain_is_one_member_and_ends_with_its_last_job_or_the_first_that_fails,
                    a_nested_batch_is_one_member_of_its_parent,
                    a_batch_waits_again_for_a_member_that_is_retried_while_it_is_open,
                    a_cancelled_batch_enqueues_nothing_more,
                    a_purge_takes_batches_and_callbacks_along,
                    a_batch_is_kept_for_a_day_and_batches_are_listed_newest_first,
                    ten_thousand_members_are_accepted_and_cancelled,
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
    (each $broker:ident: $($topic:ident: { $($case:ident,)* })*) => {
        $($(
            #[tokio::test]
            async fn $case() {
                super::$topic::$case(&crate::subject::Subject::$broker().await).await;
            }
        )*)*
    };
    (together $broker:ident: $($topic:ident: { $($case:ident,)* })*) => {
        #[tokio::test]
        async fn every_promise_is_kept() {
            let site = crate::subject::Site::$broker();
            $($(
                eprintln!("{}", stringify!($case));
                super::$topic::$case(&crate::subject::Subject::on(&site).await).await;
            )*)*
        }
    };
}

suite!(each sqlite_in_memory);
suite!(each sqlite_file);
suite!(each redis);
suite!(together redis_cluster);
