"""Trouble in people's files and tables: what becomes of each kind, and the tests that hold it."""

from __future__ import annotations

from stress.arena import REPOSITORY
from stress.page import write_section

SECTION = "trouble in files and tables"
KINDS: list[tuple[str, str, list[str]]] = [
    (
        "files joined end to end: clocks that start anew or jump ahead",
        "one timeline, each part after the one before; index and check say where",
        [
            "media/test_joined.py::test_parts_joined_end_to_end_follow_each_other",
            "media/test_joined.py::test_three_parts_and_a_clock_that_jumps_ahead",
            "media/test_joined.py::test_sound_joined_end_to_end_keeps_every_sample",
            "media/test_joined.py::test_index_and_extraction_agree_on_the_length_of_sound_joined_end_to_end",
        ],
    ),
    (
        "one stream's clock goes back alone",
        "`discontinuous`",
        ["media/test_joined.py::test_one_streams_clock_that_goes_back_alone_is_named"],
    ),
    (
        "pictures stamped in the order of decoding, or alike",
        "their times rise strictly",
        [
            "media/test_joined.py::test_pictures_stamped_in_the_order_of_decoding_are_shown_in_theirs",
            "media/test_pictures.py::test_frames_stamped_alike_still_come_one_after_the_other",
        ],
    ),
    (
        "pictures turned, mirrored, or of pixels that are not square",
        "as players show them",
        [
            "media/test_pictures.py::test_each_turn_and_mirroring_is_shown_as_the_matrix_says",
            "media/test_pictures.py::test_pixels_that_are_not_square_are_made_square",
        ],
    ),
    (
        "several streams of a kind",
        "the one flagged as default, else the first; said",
        [
            "media/test_streams.py::test_the_default_sound_is_read_and_said",
            "media/test_streams.py::test_the_default_picture_is_read_and_said",
        ],
    ),
    (
        "frames that the decoder marks corrupt or loses",
        "counted for each clip; `corrupt` above a tenth",
        [
            "media/test_damage.py::test_pictures_marked_corrupt_are_counted_as_libav_marks_them",
            "media/test_damage.py::test_too_much_damage_is_a_failure_that_counts_it",
            "media/test_damage.py::test_a_tail_of_zeros_in_a_file_of_the_right_size_is_damage",
            "media/test_damage.py::test_damaged_sound_is_noted_and_keeps_its_time",
        ],
    ),
    (
        "intervals outside their file, partly or whole; none at all; that start before 0",
        "`outside`, at the index; a start before 0 is 0, and noted",
        [
            "media/test_failures.py::test_an_interval_after_the_end_is_a_failure",
            "index/test_clip_table.py::test_an_interval_that_is_none_costs_its_own_clip_alone",
            "index/test_clip_table.py::test_a_start_before_the_files_is_the_files_and_noted",
        ],
    ),
    (
        "headers that promise more than there is: piped WAVs, zeros at the end, subtitles that outlast the film",
        "what decodes counts; a promise that can be one still tells a cut; index and extraction agree",
        [
            "media/test_promises.py::test_a_wav_that_was_piped_is_as_long_as_its_data",
            "media/test_promises.py::test_a_size_that_is_a_little_too_large_is_no_cut",
            "media/test_promises.py::test_zeros_after_the_end_are_no_damage",
            "media/test_promises.py::test_a_subtitle_that_outlasts_the_film_does_not_count",
            "media/test_promises.py::test_index_and_extraction_agree_on_every_cut",
        ],
    ),
    (
        "sound alone, whatever the file is called",
        "its streams are asked",
        [
            "media/test_streams.py::test_sound_alone_is_known_by_its_streams",
            "index/test_clip_table.py::test_a_path_for_both_is_what_its_streams_are",
        ],
    ),
    (
        "files without permission, on a failing disk, with names that no file can have",
        "that clip's failure; the job stops where the storage is away",
        [
            "index/test_clip_table.py::test_a_file_that_may_not_be_read_costs_its_clip_and_is_looked_at_again",
            "index/test_clip_table.py::test_an_error_of_one_file_is_its_clips",
            "index/test_clip_table.py::test_a_name_that_no_file_can_have_costs_its_clip",
        ],
    ),
    (
        "float sound on the scale of integers; channels in antiphase",
        "`wrong_scale`; noted by check, quality and predict",
        [
            "media/test_sound.py::test_float_samples_on_the_scale_of_integers_are_refused_by_name",
            "media/test_sound.py::test_channels_that_cancel_each_other_are_noted",
            "evaluation/test_clip_quality.py::test_what_decoding_and_tracking_noted_is_a_concern",
            "evaluation/test_prediction.py::test_channels_in_antiphase_are_said",
            "evaluation/test_prediction.py::test_the_quality_tables_concerns_are_said",
        ],
    ),
    (
        "media that are scripts: lists of other files, playlists, manifests",
        "`not_media`; nothing else is opened",
        [
            "media/test_streams.py::test_a_text_that_names_other_files_opens_none",
            "media/test_streams.py::test_libav_itself_is_told_not_to_follow",
        ],
    ),
    (
        "speakers on both sides where groups are finer; speakers of like names; a system renamed, or labels changed, after a "
        "look; a journal of looks sent to a device, or cut",
        "found by the audit: a leak, or a warning where it may be none; a device keeps nothing, so nothing is scored; what "
        "the audit cannot see stands beside its result",
        [
            "evaluation/test_audit.py::test_a_speaker_on_two_sides_is_found_where_groups_are_finer",
            "evaluation/test_leaks.py::test_one_person_under_nearly_one_name_is_found_on_two_sides",
            "evaluation/test_audit.py::test_a_system_that_looked_and_has_another_name_now_is_told",
            "evaluation/test_audit.py::test_labels_that_changed_between_two_looks_are_found",
            "evaluation/test_readings.py::test_what_is_no_journal_is_named_and_a_device_keeps_nothing",
        ],
    ),
    (
        "cells with blanks, also those that cannot be seen, and letters composed or not",
        "one speaker, one group, one class",
        ["corpora/test_table.py::test_blanks_make_no_second_speaker_and_no_second_class"],
    ),
    (
        "`nan`, `N/A`, `None`, empty as labels",
        "no class, unless the rule names it as one",
        ["corpora/test_table.py::test_a_cell_that_says_nothing_is_no_class"],
    ),
    (
        "names that are nearly equal: case, accents, one letter",
        "pointed out by check",
        [
            "corpora/test_near_names.py::test_near_equal_names_are_told_with_their_clips",
            "corpora/test_corpus_check.py::test_names_that_may_be_one_or_none_are_pointed_out",
        ],
    ),
    (
        "tables in UTF-16, with semicolons, tabs, decimal commas, from Excel",
        "read",
        [
            "corpora/test_table.py::test_any_table_that_can_be_told_apart_is_read",
            "corpora/test_table.py::test_what_spreadsheets_add_is_read",
        ],
    ),
    (
        "tables in Latin-1, with commas or quotes that are not whole, NULs, cells of 200 kB, workbooks, double columns",
        "an error that names the line, what was found and what was expected",
        [
            "corpora/test_table.py::test_what_cannot_be_told_apart_is_named_with_its_line",
            "corpora/test_table.py::test_a_file_that_is_no_text_is_named_for_what_it_is",
            "corpora/test_table.py::test_a_table_without_a_row_is_no_corpus",
            "corpora/test_table.py::test_lines_are_those_of_the_file_also_after_a_cell_of_two_lines",
        ],
    ),
    (
        "no label column, or one of a like name",
        "an error at check time that names the like one",
        [
            "corpora/test_table.py::test_a_label_column_under_a_like_name_is_asked_for",
            "corpora/test_table.py::test_a_column_that_is_nearly_an_optional_one_is_pointed_out",
        ],
    ),
    (
        "CMU-MOSEI's start below 0, segments without length",
        "a segment's own failure at most",
        ["corpora/test_cmu_mosei.py::test_segments_that_cannot_be_cost_themselves_alone"],
    ),
    (
        "configs in UTF-16 or with marks of their encoding; in Latin-1",
        "read; an error that names the line and the byte",
        [
            "base/test_yaml_files.py::test_every_encoding_that_can_be_told_is_read",
            "base/test_yaml_files.py::test_an_encoding_that_cannot_be_told_is_named_with_its_line",
            "workflow/test_bad_config.py::test_a_config_that_is_not_utf_8_is_read_and_runs",
        ],
    ),
    (
        "keys that come twice or are no texts, dates and numbers that YAML reads as others, alias bombs, "
        "values without end, Python (`__use_yte__`) in a config",
        "an error that names the line, before Snakemake reads it; what bare `snakemake --configfile` is given "
        "Snakemake reads first, Python included, so a stranger's config belongs to `avemo run` and `avemo plan`",
        [
            "base/test_yaml_files.py::test_what_is_no_plain_data_is_refused_with_its_line_and_at_once",
            "workflow/test_bad_config.py::test_a_key_that_comes_twice_is_refused_before_snakemake_takes_the_last",
            "workflow/test_bad_config.py::test_a_config_runs_no_python",
        ],
    ),
    (
        "`~`, `$HOME`, braces, control characters and overlong names in a config's paths",
        "filled in; braces, unknown variables and what no path can be are refused by their key",
        [
            "base/test_paths.py::test_every_path_of_every_component_is_filled_in_and_no_other_text",
            "base/test_paths.py::test_what_no_path_can_be_is_refused_by_its_key",
            "study/test_config.py::test_folders_of_rules_are_filled_in_or_refused_by_their_key",
        ],
    ),
    (
        "systems, runs and corpora called as baselines, as each other, in 400 bytes or with a line's end",
        "an error before any job",
        [
            "study/test_config.py::test_a_name_that_is_no_folder_of_its_own_is_refused",
            "study/test_config.py::test_names_of_runs_and_corpora_are_names_of_folders",
            "study/test_config.py::test_a_system_is_not_called_as_a_baseline",
            "study/test_config.py::test_two_systems_have_two_titles",
            "study/test_config.py::test_no_system_takes_the_name_of_a_smaller_one_of_the_learning_curve",
        ],
    ),
    (
        "clips, systems and titles called `NA`, `null`, `1`; cells that begin with `=`, `+`, `-`, `@`",
        "names like any other; an apostrophe before them in tables",
        [
            "base/test_result_tables.py::test_every_name_comes_back_as_the_text_it_was",
            "base/test_result_tables.py::test_no_cell_of_a_text_begins_as_a_formula",
            "workflow/test_bad_config.py::test_names_that_read_like_nothing_or_like_numbers_run_to_the_report",
        ],
    ),
    (
        "one file under two ids or two speakers, also under two paths or as parts that overlap",
        "named by check, index and labels; drawn splits keep its clips on one side; the audit finds them on two",
        [
            "corpora/test_corpus_check.py::test_one_file_under_several_ids_and_paths_is_named",
            "index/test_same_media.py::test_equal_bytes_of_sound_or_of_pictures_join_also_through_others",
            "index/test_same_media.py::test_parts_of_one_file_are_the_same_where_they_overlap_by_half_of_one",
            "dataset/test_labels.py::test_drawn_splits_keep_clips_that_share_media_on_one_side",
            "evaluation/test_audit.py::test_one_file_under_two_ids_on_two_sides_is_found",
        ],
    ),
    (
        "caches behind linked folders or files, links in a circle or to nowhere, folders without a shard",
        "listed, checked and cleared as any other, what links led to stays; a folder without a shard is an error",
        [
            "cache/test_links.py::test_what_lies_behind_a_link_is_listed_and_checked",
            "cache/test_links.py::test_garbage_behind_a_link_goes_and_what_others_may_use_stays",
            "cache/test_links.py::test_links_in_a_circle_end",
            "cache/test_links.py::test_a_folder_without_a_shard_says_so",
        ],
    ),
    (
        "shards and manifests that were made up: texts for mappings, shards elsewhere, pipes and folders as files",
        "refused by name within a second",
        [
            "cache/test_hostile.py::test_a_shard_whose_info_is_no_mapping_is_refused",
            "cache/test_hostile.py::test_a_manifest_names_no_shard_elsewhere",
            "cache/test_hostile.py::test_a_manifest_whose_info_is_no_mapping_is_refused",
            "cache/test_hostile.py::test_a_pipe_or_folder_in_place_of_a_file_keeps_nobody_waiting",
        ],
    ),
    (
        "ids too long for the name of a file",
        "exported under a digest of theirs, and imported again",
        ["cache/test_hostile.py::test_ids_that_no_file_can_be_called_by_are_exported_and_come_back"],
    ),
    (
        "a pickle of features that names functions, or is forged, damaged, or of other things than it should be",
        "refused by the name of what is in it, and none of it is run",
        [
            "features/test_mmsa_files.py::test_what_is_no_array_and_not_plain_is_named_and_not_run",
            "features/test_mmsa_files.py::test_forged_pieces_are_refused_without_harm",
            "features/test_mmsa_files.py::test_a_damaged_pickle_is_read_or_refused",
            "features/test_mmsa_files.py::test_a_dictionary_of_anything_is_converted_or_refused",
        ],
    ),
    (
        "an export for other programs that fails or is killed, or whose folder exists",
        "nothing under its name, and nothing is replaced",
        [
            "exports/test_export.py::test_every_form_says_what_made_it_and_appears_whole_or_not_at_all",
            "exports/test_export.py::test_a_killed_export_leaves_nothing_under_its_name",
            "base/test_atomic.py::test_all_of_a_folder_reaches_the_disk_before_its_name_does",
        ],
    ),
    (
        "cells of 200 kB, names of 200 characters, with line ends or terminal codes",
        "an error that names line and column",
        ["corpora/test_table.py::test_a_cell_that_no_line_can_show_is_refused_by_line_and_column_at_once"],
    ),
    (
        "media replaced under equal size and time; swapped between index and extraction, or while they are decoded",
        "noticed by ctime, then by hash; the job stops, and nothing lies under the key of the file that was seen",
        [
            "index/test_media_hashes.py::test_a_file_put_in_anothers_place_with_its_size_and_time_is_noticed",
            "index/test_seen_media.py::test_a_file_swapped_while_it_is_decoded_leaves_nothing_under_its_key",
            "workflow/test_stale.py::test_media_swapped_between_index_and_extraction_lie_under_no_key",
        ],
    ),
    (
        "weights replaced since a model was trained, or since the workflow was started",
        "`predict`, or the job, stops and names both hashes",
        [
            "evaluation/test_trained_with.py::test_weights_that_are_others_than_trained_with_are_refused_by_name",
            "features/test_job_weights.py::test_a_job_that_finds_other_weights_than_the_workflow_stops",
        ],
    ),
    (
        "a bundle with other bytes, files too many or too few, links, paths that lead out of it, more bytes than it says, or of a newer avemo",
        "`predict` refuses it, naming the file; nothing is written outside",
        [
            "evaluation/test_bundle.py::test_each_file_is_compared_with_the_manifest",
            "evaluation/test_bundle.py::test_a_link_is_no_file_of_a_bundle",
            "evaluation/test_bundle.py::test_a_zip_of_other_files_is_refused_by_name",
        ],
    ),
    (
        "Ctrl-C or a kill while many clips are predicted; clips renamed, changed or added since",
        "what is done is kept; the same command computes what is new or changed alone",
        [
            "evaluation/test_many_clips.py::test_ctrl_c_keeps_what_is_done",
            "evaluation/test_many_clips.py::test_a_line_that_a_kill_cut_is_computed_again",
            "evaluation/test_many_clips.py::test_a_rerun_computes_what_is_new_or_changed_alone",
        ],
    ),
    (
        "another corpus under an id that a cache has already; results whose labels, splits or models are others than "
        "lie beside them",
        "an error that names both",
        [
            "workflow/test_stale.py::test_a_second_checkout_with_another_table_does_not_take_the_firsts_media",
            "workflow/test_stale.py::test_commands_refuse_what_was_not_made_of_what_is_read_with_it",
        ],
    ),
    (
        "code that was edited since a result was made",
        "told by file in plan and report, made again, or ignored, as `code_changes` says; comments, formatting and "
        "other components' files count as nothing",
        [
            "base/test_code.py::test_an_edit_of_what_makes_numbers_is_told_by_the_stages_that_run_through_it",
            "base/test_code.py::test_what_makes_no_numbers_of_a_stage_changes_nothing_of_it",
            "workflow/test_stale.py::test_what_other_code_has_made_is_told_and_made_again_where_that_is_wanted",
            "workflow/test_stale.py::test_a_clip_added_by_other_code_leaves_its_shard_told",
            "workflow/test_stale.py::test_the_linear_baseline_follows_its_features_and_its_code",
            "study/test_stage_code.py::test_whatever_a_command_calls_for_its_numbers_is_followed",
        ],
    ),
    (
        "a modality or a system that a run has no more",
        "what was made with it is made again",
        [
            "base/test_made_of.py::test_what_is_read_no_more_is_told",
            "workflow/test_stale.py::test_a_system_that_the_run_has_no_more_is_not_in_the_tests_that_stand",
        ],
    ),
    (
        "results under a time of the future; a plan made while a workflow is at work",
        "what has changed runs again, and is in the plan",
        [
            "workflow/test_stale.py::test_results_of_a_clock_that_went_ahead_run_again_as_any",
            "workflow/test_stale.py::test_a_plan_made_while_a_workflow_is_at_work_tells_what_has_changed_meanwhile",
        ],
    ),
    (
        "imported features: an array replaced beside a file of another kind, a file that changes while it is imported; a "
        "configuration of openSMILE that reads other files",
        "another key; the job stops; refused by name",
        [
            "features/test_imported.py::test_every_array_of_a_folder_counts_whatever_lies_beside_it",
            "features/test_imported.py::test_a_file_that_changes_while_it_is_imported_stops_the_job",
            "features/test_opensmile_any.py::test_files_that_are_not_whole_are_refused",
        ],
    ),
    (
        "an owner stopped for longer than its lease, just before it renames",
        "its renaming fails, as the next owner has taken away what it would rename; one that wakes within the milliseconds in "
        "which the next one publishes may still leave its own whole shard there, which the next run finds by the record, and "
        "makes again",
        [
            "cache/test_split_brain.py::test_a_stop_just_before_the_renaming_leaves_the_next_owners_published",
            "cache/test_split_brain.py::test_a_record_that_a_late_owner_leaves_beside_the_next_ones_shard_does_not_describe_it",
        ],
    ),
    (
        "a page of a shard that the disk cannot read",
        "an error like any other, as shards are read and never mapped",
        ["cache/test_shard.py::test_nothing_of_a_shard_is_mapped"],
    ),
    (
        "paths of 300 characters, links in a circle, pipes, folders and files in each other's place, in every command",
        "a message, no traceback and no wait",
        [
            "cli/test_cli.py::test_a_path_that_none_can_be_is_a_message",
            "study/test_study.py::test_a_record_that_no_run_wrote_is_named",
        ],
    ),
]


def table() -> list[tuple[str, str, str]]:
    """Rows of the page: kind, what becomes of it, tests."""
    rows = [(kind, outcome, "<br>".join(f"`{test}`" for test in tests)) for kind, outcome, tests in KINDS]
    return [("kind", "what becomes of it", "held by, under `tests`"), *rows]


if __name__ == "__main__":
    write_section(REPOSITORY / "docs" / "reliability.md", SECTION, {"kinds": len(KINDS)}, table())
