"""P32: each row of the tables on the security page has a test that shows what it says."""

from __future__ import annotations

import ast
import re

import pytest

from tests.test_docs import ROOT, read_table
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.hub import Hub, replay, spans

DEFLATE = "core/test_extensions_deflate.py"
REPLAY = "drivers/test_hub_replay.py"

#: Setting or option → the tests of what happens beyond it, most with a real server around it.
SHOWN_BY: dict[str, tuple[str, ...]] = {
    "max_message_size": (
        "promises/test_memory.py::test_p02_oversize_message_is_refused_from_the_header_of_the_last_fragment",
        "promises/test_memory.py::test_p04_limit_of_inflated_messages_is_inclusive",
    ),
    "max_frame_size": (
        "core/test_parser_limits.py::test_frame_size_has_a_limit_of_its_own",
        "promises/test_memory.py::test_p02_oversize_frame_is_refused_from_its_header",
    ),
    "max_fragments": ("promises/test_memory.py::test_p03_million_fragments_are_refused_at_4097",),
    "max_control_frames": ("promises/test_memory.py::test_p05_pings_beyond_1024_in_a_row_are_1008",),
    "turn_bytes": ("drivers/test_turns.py::test_turn_reads_so_many_bytes_and_then_others_have_theirs",),
    "turn_frames": (
        "drivers/test_turns.py::test_turn_takes_so_many_frames_and_then_others_have_theirs",
        "core/test_connection.py::test_batch_stops_at_turn_frames_and_goes_on_without_data",
    ),
    "turn_time": ("drivers/test_turns.py::test_turn_lasts_so_long_and_then_others_have_theirs",),
    "receive_queue_messages": (
        "drivers/test_inbox.py::test_once_somebody_asked_nothing_is_dropped_and_fullness_is_told",
        "drivers/contract_traffic.py::test_inbox_that_is_full_stops_reading",
    ),
    "receive_queue_size": (
        "drivers/test_inbox.py::test_fullness_counts_bytes_and_what_a_message_costs_beside_them",
        "promises/test_memory.py::test_p01_client_that_sends_and_never_reads_costs_its_share",
    ),
    "write_high_water": (
        "drivers/contract_traffic.py::test_send_beyond_high_water_waits_and_goes_on",
        "drivers/contract_traffic.py::test_echo_flood_of_one_who_does_not_read_is_paused_and_loses_nothing",
    ),
    "write_limit": (
        "drivers/test_link_sending.py::test_hook_that_floods_is_stopped_at_the_limit",
        "drivers/test_link_sending.py::test_hook_may_send_up_to_the_limit",
    ),
    "queue_policy": (
        "drivers/test_link_sending.py::test_disconnect_at_the_limit_is_told_to_the_sender",
        "drivers/test_link_sending.py::test_message_is_dropped_at_the_limit",
    ),
    "ping_interval": ("promises/test_timeouts.py::test_p08_peer_that_pongs_is_kept",),
    "ping_timeout": ("promises/test_timeouts.py::test_p08_peers_that_do_not_pong_are_dropped",),
    "write_timeout": ("promises/test_timeouts.py::test_p08_peer_that_is_stuck_is_dropped",),
    "open_timeout": (
        "entrances/test_asyncioserver_limits.py::test_head_that_takes_too_long_is_refused_with_408",
        "promises/test_p31_ways.py::test_p31_slow_redirects_have_open_timeout_for_all_of_them",
    ),
    "close_timeout": ("promises/test_timeouts.py::test_p08_peer_that_does_not_answer_a_close_is_dropped",),
    "idle_timeout": ("promises/test_timeouts.py::test_p08_peer_without_messages_is_dropped_when_asked_for",),
    "max_lifetime": (
        "entrances/test_limits.py::test_lifetime_is_renewed_as_often_as_the_handler_says",
        "drivers/contract_lifetime.py::test_without_anybody_to_ask_it_ends",
    ),
    "reauthorize": ("drivers/contract_lifetime.py::test_policy_may_be_asked_for_a_function_too",),
    "drain_window": (
        "drivers/contract_drain.py::test_drain_closes_each_at_its_moment_and_waits",
        "entrances/test_drain_gunicorn.py::test_reload_under_load_closes_with_1012_and_the_new_worker_serves",
    ),
    "drain_grace": ("drivers/contract_drain.py::test_policies_say_how_long_it_takes",),
    "message_rate": ("entrances/test_limits.py::test_messages_beyond_the_rate_end_with_1008",),
    "byte_rate": ("entrances/test_limits.py::test_bytes_beyond_the_rate_end_with_1008",),
    "max_headers": ("core/test_http11.py::test_limit_of_headers",),
    "max_header_line": ("core/test_http11.py::test_limit_of_a_line",),
    "max_head_size": ("core/test_http11.py::test_limit_of_the_whole",),
    "max_connections": ("entrances/test_asyncioserver_limits.py::test_one_too_many_is_told_to_come_again",),
    "max_connections_per_address": (
        "entrances/test_limits.py::test_address_has_so_many_connections_and_gets_them_back",
        "drivers/test_admission.py::test_ipv6_addresses_of_one_network_are_one_client",
    ),
    "max_connections_per_key": ("entrances/test_limits.py::test_key_has_so_many_connections",),
    "connection_key": (
        "entrances/test_limits.py::test_key_has_so_many_connections",
        "drivers/test_admission.py::test_key_has_so_many_and_nobody_is_not_counted",
    ),
    "handshake_rate": ("entrances/test_limits.py::test_handshakes_of_an_address_come_at_a_rate",),
    "trusted_proxies": (
        "entrances/test_limits.py::test_client_that_nobody_trusts_cannot_say_who_he_is",
        "drivers/test_admission.py::test_client_behind_a_proxy_is_who_that_has_seen_and_not_who_he_says",
    ),
    "subprotocols": ("core/test_handshake.py::test_accept_request_our_best_subprotocol_is_chosen",),
    "origins": ("promises/test_handshake.py::test_p17_cross_site_pages_cannot_connect",),
    "hosts": ("core/test_handshake_refusing.py::test_accept_request_a_host_that_is_not_served_421",),
    "compression": ("core/test_handshake.py::test_accept_request_compression_is_off_until_asked_for",),
    "server_max_window_bits": (
        "core/test_extensions_deflate_negotiation.py::test_accept_the_answer_is_the_smaller_of_both_wishes",
        "core/test_extensions_deflate.py::test_encode_never_refers_back_beyond_the_window",
    ),
    "client_max_window_bits": (
        "core/test_extensions_deflate_negotiation.py::test_accept_the_answer_is_the_smaller_of_both_wishes",
        f"{DEFLATE}::test_decode_a_peer_that_refers_back_beyond_the_agreed_window_is_refused",
    ),
    "server_no_context_takeover": (
        "core/test_extensions_deflate_negotiation.py::test_build_offer_says_what_the_options_say",
        f"{DEFLATE}::test_codec_can_be_shared_when_messages_do_not_depend_on_earlier_ones",
    ),
    "client_no_context_takeover": (
        "core/test_extensions_deflate.py::test_decode_without_context_takeover_there_is_nothing_to_refer_to",
    ),
    "level": ("core/test_extensions_deflate.py::test_encode_options_reach_the_library",),
    "mem_level": ("core/test_extensions_deflate.py::test_encode_options_reach_the_library",),
    "threshold": (
        "core/test_extensions_deflate.py::test_encode_message_below_the_threshold_is_left_as_it_is",
    ),
    "shared": (
        "core/test_extensions_deflate_negotiation.py::test_accept_the_answer_is_the_smaller_of_both_wishes",
        "core/test_extensions_deflate_libraries.py::test_broadcast_is_compressed_once_for_all_that_share",
    ),
}

#: The same for what rooms and the subprotocol have.
ROOMS_SHOWN_BY: dict[str, tuple[str, ...]] = {
    "MAX_RESUME": (f"{REPLAY}::test_resume_that_is_too_much_ends_the_connection_with_1008",),
    "MAX_ROOMS": (f"{REPLAY}::test_resume_that_is_too_much_ends_the_connection_with_1008",),
    "open_timeout": (f"{REPLAY}::test_rooms_begin_by_themselves_after_open_timeout",),
    "max_rooms": ("drivers/test_hub_managers.py::test_peer_that_asks_for_ever_more_rooms_is_bounded",),
    "max_history_size": (
        "drivers/test_hub_history.py::test_all_rooms_together_have_a_bound_and_the_oldest_messages_go_first",
    ),
    "MAX_COUNT": (
        "drivers/test_hub_history.py::test_history_may_be_a_time",
        "drivers/test_hub_history.py::test_last_messages_are_kept_and_a_gap_is_known",
    ),
}

ROWS = {**read_table("setting"), **read_table("option")}
ROOMS_ROWS = read_table("limit")


def read_source(name: str) -> str:
    """Return the source of a test, and of what it calls in its own file; KeyError when there is none."""
    path, _, function = name.partition("::")
    text = (ROOT / "tests" / path).read_text(encoding="utf-8")
    found = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    wanted, taken = [function], dict[str, str]()
    while wanted:
        node = found[wanted.pop()]
        taken[node.name] = ast.get_source_segment(text, node) or ""
        called = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        wanted += [each for each in called if each in found and each not in taken]
    return "\n".join(taken.values())


def test_limits_table_has_a_test_for_each_row() -> None:
    assert list(SHOWN_BY) == list(ROWS)
    assert list(ROOMS_SHOWN_BY) == list(ROOMS_ROWS)


def test_limits_of_rooms_are_those_of_the_code() -> None:
    in_code = {
        "MAX_RESUME": replay.MAX_RESUME,
        "MAX_ROOMS": replay.MAX_ROOMS,
        "MAX_COUNT": spans.MAX_COUNT,
        "open_timeout": Policy().open_timeout,
        "max_rooms": Hub.max_rooms,
        "max_history_size": Hub.max_history_size,
    }
    assert {name: ast.literal_eval(row[0].strip("`")) for name, row in ROOMS_ROWS.items()} == in_code


def check_row(row: list[str], names: tuple[str, ...]) -> None:
    """Check that its tests are there, and see the codes that the row tells of."""
    sources = [read_source(name) for name in names]
    for code in re.findall(r"\d{3,4}", row[2] if len(row) > 2 else ""):
        assert any(code in source for source in sources), f"none of {names} sees {code}"


@pytest.mark.parametrize("setting", SHOWN_BY)
def test_limits_table_row_is_shown_by_its_tests(setting: str) -> None:
    check_row(ROWS[setting], SHOWN_BY[setting])


@pytest.mark.parametrize("limit", ROOMS_SHOWN_BY)
def test_limit_of_rooms_is_shown_by_its_tests(limit: str) -> None:
    check_row(ROOMS_ROWS[limit], ROOMS_SHOWN_BY[limit])


def test_promises_table_has_all_that_limits_are_for_and_a_test_for_each() -> None:
    told = read_table("promise")
    assert {name for *_, names in read_table("setting").values() for name in names.split(", ")} <= told.keys()
    paths = [ROOT / "scripts" / "soak", *(ROOT / "tests").rglob("test_*.py")]
    tests = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    for name in told:
        assert re.search(rf"\b{name}\b|def test_p{int(name[1:]):02}_", tests), name
