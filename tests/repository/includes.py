"""A rule of rules.py: every source and header includes the standard headers whose names it uses.

Itself, or through headers of ours; not through other standard headers, and not through the precompiled ones, which would
hide what is missing until somebody compiles without them.
"""
import re
from functools import cache

from tree import INCLUDE, ROOT, files, read

# header: the names of std:: that it is included for. A name with several headers may come from any of them.
HEADERS = {
    "algorithm": "adjacent_find all_of any_of clamp copy copy_if copy_n count count_if equal equal_range fill fill_n find find_if "
                 "find_if_not includes is_sorted lexicographical_compare lower_bound max max_element min min_element minmax mismatch "
                 "none_of nth_element partition remove remove_if replace reverse rotate search shuffle sort stable_sort "
                 "swap_ranges transform unique upper_bound for_each move_backward",
    "any": "any any_cast",
    "array": "array to_array",
    "atomic": "atomic atomic_flag atomic_ref memory_order_acq_rel memory_order_acquire memory_order_relaxed memory_order_release "
              "memory_order_seq_cst",
    "bit": "bit_cast bit_ceil bit_width byteswap countl_zero countr_zero endian has_single_bit popcount rotl rotr",
    "charconv": "chars_format from_chars from_chars_result to_chars to_chars_result",
    "chrono": "chrono chrono_literals",
    "cmath": "abs ceil fabs floor isfinite isinf isnan ldexp llround log nan nextafter pow remainder round signbit sqrt trunc",
    "compare": "partial_ordering strong_ordering weak_ordering",
    "concepts": "constructible_from convertible_to default_initializable derived_from equality_comparable floating_point integral "
                "invocable same_as signed_integral unsigned_integral",
    "condition_variable": "condition_variable condition_variable_any",
    "coroutine": "coroutine_handle coroutine_traits noop_coroutine suspend_always suspend_never",
    "csignal": "raise sig_atomic_t signal",
    "cctype": "toupper tolower isdigit",
    "cstddef": "byte max_align_t nullptr_t ptrdiff_t size_t",
    "cstdint": "int16_t int32_t int64_t int8_t intptr_t uint16_t uint32_t uint64_t uint8_t uintptr_t uintmax_t",
    "cstdio": "fclose fgets FILE fflush fopen fprintf fputs printf puts remove rename size_t snprintf",
    "cstdlib": "abort abs atexit atoi atol exit free getenv malloc realloc strtod strtol strtoll strtoul strtoull system",
    "cstring": "memchr memcmp memcpy memmove memset size_t strcmp strerror strlen",
    "ctime": "gmtime size_t strftime time time_t tm",
    "deque": "deque",
    "exception": "current_exception exception exception_ptr make_exception_ptr rethrow_exception terminate uncaught_exceptions",
    "expected": "expected unexpected",
    "filesystem": "filesystem",
    "fstream": "fstream ifstream ofstream ios",
    "functional": "equal_to function greater hash invoke less less_equal move_only_function plus ref reference_wrapper",
    "future": "async future future_status promise",
    "initializer_list": "initializer_list",
    "ios": "ios",
    "iterator": "back_inserter begin distance end forward_iterator_tag istreambuf_iterator make_move_iterator next prev size",
    "limits": "numeric_limits",
    "latch": "latch",
    "list": "list",
    "map": "map multimap",
    "memory": "addressof construct_at destroy_at enable_shared_from_this make_shared make_unique make_unique_for_overwrite "
              "shared_ptr unique_ptr weak_ptr",
    "mutex": "call_once lock_guard mutex once_flag recursive_mutex scoped_lock unique_lock",
    "new": "align_val_t bad_alloc launder nothrow",
    "numeric": "accumulate iota reduce",
    "optional": "make_optional nullopt nullopt_t optional",
    "ostream": "ostream",
    "queue": "priority_queue queue",
    "random": "exponential_distribution minstd_rand mt19937 mt19937_64 random_device uniform_int_distribution "
              "uniform_real_distribution",
    "ranges": "views iota_view input_range range_reference_t range_value_t sized_range",
    "ratio": "micro milli nano ratio",
    "set": "multiset set",
    "shared_mutex": "shared_lock shared_mutex",
    "source_location": "source_location",
    "span": "as_bytes dynamic_extent span",
    "sstream": "istringstream ostringstream stringstream",
    "stdexcept": "invalid_argument logic_error out_of_range runtime_error",
    "streambuf": "streambuf",
    "string": "basic_string char_traits getline hash npos stod stoi stol stoll stoul stoull string string_literals to_string",
    "string_view": "basic_string_view hash string_view string_view_literals",
    "system_error": "errc error_code generic_category system_category system_error",
    "thread": "jthread stop_token this_thread thread",
    "tuple": "apply make_tuple tie tuple tuple_element_t tuple_size tuple_size_v",
    "type_traits": "common_type_t conditional_t decay_t enable_if_t false_type has_unique_object_representations_v integral_constant "
                   "invoke_result_t is_aggregate_v is_arithmetic_v is_array_v is_base_of_v is_class_v is_const_v is_constructible_v "
                   "is_convertible_v is_copy_constructible_v is_default_constructible_v is_empty_v is_enum_v is_final_v "
                   "is_floating_point_v is_function_v is_integral_v is_invocable_r_v is_invocable_v is_lvalue_reference_v "
                   "is_move_constructible_v is_nothrow_move_constructible_v is_pointer_v is_reference_v is_rvalue_reference_v "
                   "is_same_v is_scoped_enum_v is_signed_v is_trivially_copyable_v is_trivially_destructible_v is_unsigned_v "
                   "is_void_v make_unsigned_t remove_const_t remove_cv_t remove_cvref_t remove_pointer_t remove_reference_t "
                   "true_type type_identity type_identity_t underlying_type_t void_t",
    "typeindex": "type_index",
    "unordered_map": "unordered_map unordered_multimap",
    "unordered_set": "unordered_set",
    "utility": "as_const cmp_less declval exchange forward in_range index_sequence index_sequence_for integer_sequence "
               "make_index_sequence make_pair move pair swap to_underlying unreachable",
    "variant": "get_if holds_alternative monostate variant variant_alternative_t variant_size_v visit",
    "vector": "vector",
}
# What every container, or every range of them, brings.
ANY = {"begin", "empty", "end", "erase", "erase_if", "get", "size", "data", "ranges"}
HOME = {}
for header, names in HEADERS.items():
    for name in names.split():
        HOME.setdefault(name, set()).add(header)
# What these have in their own signatures.
for name, headers in {"size_t": "array map memory span string string_view vector", "errc": "charconv", "pair": "map",
                      "nano": "chrono", "micro": "chrono", "milli": "chrono"}.items():
    HOME[name] |= set(headers.split())
WITHOUT = re.compile(r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*(?:.|\n)*?\*/')
NAME = re.compile(r"\bstd::(?:ranges::)?(\w+)")


@cache
def included(path):
    """(standard headers, headers of ours) that a file includes itself; test frameworks bring what their users may lean on."""
    standard, ours = set(), set()
    for quote, target in INCLUDE.findall(read(path)):
        beside = (ROOT / path).parent / target
        if quote == '"' and beside.is_file():
            ours.add(beside.resolve().relative_to(ROOT))
        elif (ROOT / target).is_file():
            ours.add((ROOT / target).relative_to(ROOT))
        else:
            standard.add(target)
    return standard, ours


def reachable(path):
    seen, rest, standard = set(), [path], set()
    while rest:
        here = rest.pop()
        if here not in seen:
            seen.add(here)
            own, ours = included(here)
            standard |= own
            rest.extend(ours)
    return standard


def includes():
    """Each source includes the standard headers whose names it uses, itself or through headers of ours."""
    for path in files(".cpp", ".hpp"):
        if path.parts[0] == "cmake" or path.parts[:2] == ("tests", "misuse"):
            continue
        text = WITHOUT.sub(lambda m: "\n" * m.group().count("\n"), read(path))
        standard = reachable(path)
        told = set()
        for match in NAME.finditer(text):
            name = match.group(1)
            line = text.count("\n", 0, match.start()) + 1
            if name in ANY or name in told:
                continue
            if name not in HOME:
                yield f"{path}:{line}: std::{name}: which header is it of? Add it to tests/repository/includes.py"
            elif not HOME[name] & standard:
                yield f"{path}:{line}: std::{name} wants #include <{' or '.join(sorted(HOME[name]))}>"
            told.add(name)
