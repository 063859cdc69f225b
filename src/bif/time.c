/*
 * time.c - clocks, calendar, references and unique integers.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/clock.h"
#include "vm/node.h"
#include "vm/unique.h"

#include <limits.h>
#include <time.h>

/* ---- clocks ---- */

/* Parts per second of a time unit; 0: not one, -1: too large for 64 bits. */
static int64_t unit_per_s(term unit)
{
    int64_t n;

    switch (unit) {
    case am_second: case am_seconds: return 1;
    case am_millisecond: case am_milli_seconds: return 1000;
    case am_microsecond: case am_micro_seconds: return 1000000;
    case am_nanosecond: case am_nano_seconds: return 1000000000;
    case am_native: case am_perf_counter: return CLOCK_NATIVE_PER_S;
    }
    if (!term_is_integer(unit))
        return 0;
    if (term_to_int64(unit, &n))
        return n > 0 ? n : 0;
    return big_negative(unit) ? 0 : -1;
}

/* ns in another unit, rounded down. */
static term in_unit(struct proc *p, int64_t ns, term unit)
{
    int64_t per_s = unit_per_s(unit);
    __int128 v;

    if (per_s == 0)
        return bif_badarg(p);
    if (per_s > 0) {
        v = (__int128)ns * per_s;
        v = v / CLOCK_NATIVE_PER_S - (v % CLOCK_NATIVE_PER_S < 0);
        if (v <= INT64_MAX && v >= INT64_MIN)
            return int64_make(p, (int64_t)v);
    }
    term args[3] = {int64_make(p, ns), small_make(CLOCK_NATIVE_PER_S), unit};

    return bif_trap(p, EXP("erlang", "convert_time_unit", 3), args, 3);
}

BIF(erlang, monotonic_time, 0)
{
    return int64_make(p, clock_monotonic_ns());
}

BIF(erlang, monotonic_time, 1)
{
    return in_unit(p, clock_monotonic_ns(), arg[0]);
}

BIF(erlang, system_time, 0)
{
    return int64_make(p, clock_system_ns());
}

BIF(erlang, system_time, 1)
{
    return in_unit(p, clock_system_ns(), arg[0]);
}

BIF(erlang, time_offset, 0)
{
    return int64_make(p, clock_offset_ns());
}

BIF(erlang, time_offset, 1)
{
    return in_unit(p, clock_offset_ns(), arg[0]);
}

/* {MegaSecs, Secs, MicroSecs} */
static term timestamp(struct proc *p, int64_t us)
{
    int64_t s = us / 1000000;

    return build_tuple3(p, small_make(s / 1000000), small_make(s % 1000000),
                        small_make(us % 1000000));
}

BIF(erlang, timestamp, 0)
{
    return timestamp(p, clock_system_ns() / 1000);
}

BIF(erlang, now, 0)
{
    return timestamp(p, clock_now_us());
}

/* The system's own idea of the time, without Erlang's offset. */
BIF(os, system_time, 0)
{
    return int64_make(p, os_wall_ns());
}

BIF(os, system_time, 1)
{
    return in_unit(p, os_wall_ns(), arg[0]);
}

BIF(os, timestamp, 0)
{
    return timestamp(p, os_wall_ns() / 1000);
}

/* ---- calendar ---- */

struct date {
    int64_t year, month, day, hour, minute, second;
};

static term date_put(struct proc *p, const struct date *d)
{
    return build_tuple2(p,
                        build_tuple3(p, small_make(d->year), small_make(d->month),
                                     small_make(d->day)),
                        build_tuple3(p, small_make(d->hour), small_make(d->minute),
                                     small_make(d->second)));
}

static bool smalls3(term t, int64_t *a, int64_t *b, int64_t *c)
{
    if (!term_is_tuple_of(t, 3) || !term_is_small(*tuple_at(t, 1)) ||
        !term_is_small(*tuple_at(t, 2)) || !term_is_small(*tuple_at(t, 3)))
        return false;
    *a = small_value(*tuple_at(t, 1));
    *b = small_value(*tuple_at(t, 2));
    *c = small_value(*tuple_at(t, 3));
    return true;
}

static int64_t days_in(int64_t year, int64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

/* {{Y,Mo,D},{H,Mi,S}} of a year not before base. */
static bool date_get(term t, int64_t base, struct date *d)
{
    return term_is_tuple_of(t, 2) &&
           smalls3(*tuple_at(t, 1), &d->year, &d->month, &d->day) &&
           smalls3(*tuple_at(t, 2), &d->hour, &d->minute, &d->second) &&
           d->year >= base && d->year <= INT_MAX - 1 && d->month >= 1 &&
           d->month <= 12 && d->day >= 1 && d->day <= days_in(d->year, d->month) &&
           d->hour >= 0 && d->hour <= 23 && d->minute >= 0 && d->minute <= 59 &&
           d->second >= 0 && d->second <= 59;
}

/*
 * Days since 1970 and back, by the calendar of 400-year eras that begin on
 * 1 March (146097 days each; 719468 days from 0000-03-01 to 1970-01-01).
 */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a ^ b) < 0);
}

static int64_t date_seconds(const struct date *d)
{
    int64_t y = d->year - (d->month <= 2);
    int64_t era = floor_div(y, 400), yoe = y - era * 400;
    int64_t doy = (153 * (d->month + (d->month > 2 ? -3 : 9)) + 2) / 5 + d->day - 1;
    int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;

    return ((days * 24 + d->hour) * 60 + d->minute) * 60 + d->second;
}

static struct date seconds_date(int64_t s)
{
    int64_t days = floor_div(s, 86400), left = s - days * 86400, era, doe, yoe, doy, mp;
    struct date d;

    days += 719468;
    era = floor_div(days, 146097);
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    d.day = doy - (153 * mp + 2) / 5 + 1;
    d.month = mp < 10 ? mp + 3 : mp - 9;
    d.year = yoe + era * 400 + (d.month <= 2);
    d.hour = left / 3600;
    d.minute = left / 60 % 60;
    d.second = left % 60;
    return d;
}

static struct date tm_date(const struct tm *tm)
{
    return (struct date){tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday,
                         tm->tm_hour,        tm->tm_min,     tm->tm_sec};
}

static bool local_date(int64_t seconds, struct date *d)
{
    time_t clock = (time_t)seconds;
    struct tm tm;

    if (!localtime_r(&clock, &tm))
        return false;
    *d = tm_date(&tm);
    return true;
}

static struct date local_now(void)
{
    int64_t s = os_wall_ns() / 1000000000;
    struct date d;

    return local_date(s, &d) ? d : seconds_date(s);
}

BIF(erlang, date, 0)
{
    struct date d = local_now();

    return build_tuple3(p, small_make(d.year), small_make(d.month), small_make(d.day));
}

BIF(erlang, time, 0)
{
    struct date d = local_now();

    return build_tuple3(p, small_make(d.hour), small_make(d.minute),
                        small_make(d.second));
}

BIF(erlang, localtime, 0)
{
    struct date d = local_now();

    return date_put(p, &d);
}

BIF(erlang, universaltime, 0)
{
    struct date d = seconds_date(os_wall_ns() / 1000000000);

    return date_put(p, &d);
}

BIF(erlang, universaltime_to_localtime, 1)
{
    struct date d;

    if (!date_get(arg[0], 1902, &d) || !local_date(date_seconds(&d), &d))
        return bif_badarg(p);
    return date_put(p, &d);
}

/* mktime() says -1 for a second before 1970 too: then ask for the one before. */
static bool make_time(struct tm tm, time_t *clock)
{
    struct tm before = tm;

    *clock = mktime(&tm);
    if (*clock != -1)
        return true;
    before.tm_sec--;
    return mktime(&before) == -2;
}

BIF(erlang, localtime_to_universaltime, 2)
{
    struct date d;
    struct tm tm = {0};
    time_t clock;

    if ((arg[1] != am_undefined && !term_is_bool(arg[1])) ||
        !date_get(arg[0], 1902, &d))
        return bif_badarg(p);
    tm.tm_year = (int)(d.year - 1900);
    tm.tm_mon = (int)d.month - 1;
    tm.tm_mday = (int)d.day;
    tm.tm_hour = (int)d.hour;
    tm.tm_min = (int)d.minute;
    tm.tm_sec = (int)d.second;
    tm.tm_isdst = arg[1] == am_undefined ? -1 : arg[1] == am_true;
    if (!make_time(tm, &clock)) {
        /* A zone without daylight saving may refuse it: as if not asked. */
        tm.tm_isdst = 0;
        if (arg[1] == am_false || !make_time(tm, &clock))
            return bif_badarg(p);
    }
    d = seconds_date(clock);
    return date_put(p, &d);
}

BIF(erlang, universaltime_to_posixtime, 1)
{
    struct date d;

    if (!date_get(arg[0], 1600, &d))
        return bif_badarg(p);
    return int64_make(p, date_seconds(&d));
}

BIF(erlang, posixtime_to_universaltime, 1)
{
    struct date d;
    int64_t s;

    if (!term_to_int64(arg[0], &s) || s > INT64_MAX / 2 || s < INT64_MIN / 2)
        return bif_badarg(p);
    d = seconds_date(s);
    return date_put(p, &d);
}

/* ---- what is unique ---- */

BIF(erlang, make_ref, 0)
{
    term *hp = heap_alloc(p, REF_WORDS);
    uint64_t numbers[2];

    ref_next(numbers);
    return ref_put(&hp, numbers);
}

BIF(erlang, unique_integer, 0)
{
    return int64_make(p, unique_next(false, false));
}

BIF(erlang, unique_integer, 1)
{
    bool positive = false, monotonic = false;
    term l = arg[0];

    for (; term_is_cons(l); l = cons_tail(l)) {
        if (cons_head(l) == am_positive)
            positive = true;
        else if (cons_head(l) == am_monotonic)
            monotonic = true;
        else
            return bif_badarg(p);
    }
    return term_is_nil(l) ? int64_make(p, unique_next(monotonic, positive))
                          : bif_badarg(p);
}
