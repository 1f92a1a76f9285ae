/* Reads lines of plain numbers into float32 rows; leaves every cell and line it is not sure of to the exact reader.
 *
 * A number is told only where it is surely the float32 nearest to the text. The text is whole lines of UTF-8 with LF,
 * the last one ended too, so that every scan meets a line end. quick_rows.py loads it, deploy/compile.py compiles it.
 */
#include <math.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#define EACH_BYTE 0x0101010101010101u
#define LITTLE_ENDIAN_CPU (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

enum { SKIPPED = -1, ID = -2, LINE = -1 };
enum { MOST_DIGITS = 19, EXACT_FLOAT_POWERS = 10, POWERS = 60 };

/* What is to be read. feature_of: for each column of the file its place in x, SKIPPED or ID. */
typedef struct {
    int64_t columns, width, most_rows, most_doubts;
    const int32_t *feature_of;
    uint8_t delimiter, point;
} Shape;

/* A cell, or with feature LINE a whole line, that the exact reader is to judge. Its text: begin to end. */
typedef struct {
    int64_t row, feature, begin, end;
} Doubt;

/* x: (rows, width). line: of each row, from 0. id: where each row's id begins and ends. */
typedef struct {
    float *x;
    int64_t *line, *id;
    Doubt *doubts;
    int64_t rows, lines, doubt_count;
} Found;

static const float FLOAT_POWERS[EXACT_FLOAT_POWERS + 1] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f,
                                                           1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
static const double DOUBLE_POWERS[POWERS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31,
    1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47,
    1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60};

static inline bool is_digit(uint8_t byte) { return (uint8_t)(byte - '0') < 10; }

/* mantissa × 10^power as the nearest float32, or false where that is not sure.
 *
 * Small ones are one exact operation on exact operands. Others are told by a double that is off by less than
 * 1e-15 of itself: where both ends of that range round to the same float32, so does the true value. */
static inline bool nearest(uint64_t mantissa, int64_t power, float *value) {
    if (mantissa < (1u << 24) && power >= -EXACT_FLOAT_POWERS && power <= EXACT_FLOAT_POWERS) {
        float whole = (float)mantissa;
        *value = power < 0 ? whole / FLOAT_POWERS[-power] : whole * FLOAT_POWERS[power];
        return true;
    }
    if (power == 0) {
        *value = (float)mantissa;
        return true;
    }
    if (power < -POWERS || power > POWERS) return false;
    double about = power < 0 ? (double)mantissa / DOUBLE_POWERS[-power] : (double)mantissa * DOUBLE_POWERS[power];
    float low = (float)(about * (1 - 1e-15)), high = (float)(about * (1 + 1e-15));
    *value = low;
    return low == high && isfinite(low);
}

/* The exponent after its e; false where there is none. */
static bool exponent(const uint8_t **at, int64_t *power) {
    const uint8_t *now = *at + 1;
    bool negative = *now == '-';
    int64_t value = 0;
    if (*now == '-' || *now == '+') now++;
    if (!is_digit(*now)) return false;
    for (; is_digit(*now); now++)
        if (value < 100000) value = value * 10 + (*now - '0');
    *power += negative ? -value : value;
    *at = now;
    return true;
}

/* Marks, at its highest bit, the first of eight bytes that equals this one (others behind it may be marked wrongly). */
static inline uint64_t marks_of(uint64_t text, uint8_t byte) {
    uint64_t other = text ^ (EACH_BYTE * byte);
    return (other - EACH_BYTE) & ~other & (EACH_BYTE << 7);
}

static inline uint64_t first_bytes(int count) { return ((uint64_t)1 << (8 * count)) - 1; } /* count: 0 to 7 */

/* A cell of at most seven characters that is a plain number, by arithmetic on all of them at once: the cells of most
 * files. Where it ends is found first and alone, as the next cell has to wait for that. *at moves to its end. */
static inline bool short_cell(const uint8_t **at, const uint8_t *end, const Shape *shape, float *value) {
    const uint8_t *now = *at;
    if (!LITTLE_ENDIAN_CPU || end - now < 8) return false;
    uint64_t text;
    memcpy(&text, now, 8);
    uint64_t ends = marks_of(text, shape->delimiter) | marks_of(text, '\n');
    if (!ends) return false;
    int length = __builtin_ctzll(ends) >> 3;
    uint32_t negative = *now == '-';
    text >>= 8 * negative;
    int characters = length - (int)negative;
    if (characters <= 0) return false;
    uint64_t point = marks_of(text, shape->point) | ((uint64_t)0x80 << (8 * characters));
    int whole = __builtin_ctzll(point) >> 3, has_point = whole < characters, digits = characters - has_point;
    uint64_t values = text ^ (EACH_BYTE * '0'); /* of digits: 0 to 9 */
    uint64_t joined = (values & first_bytes(whole)) | ((values >> (8 * has_point)) & ~first_bytes(whole));
    joined &= first_bytes(digits);
    if (((joined + EACH_BYTE * (127 - 9)) | joined) & (EACH_BYTE << 7) || digits == 0) return false;
    joined <<= 64 - 8 * digits; /* the last digit into the highest byte, nought before the first */
    joined = (joined * 10 + (joined >> 8)) & 0x00FF00FF00FF00FF;
    joined = (joined * 100 + (joined >> 16)) & 0x0000FFFF0000FFFF;
    joined = (joined * 10000 + (joined >> 32)) & 0xFFFFFFFF; /* at most 9,999,999: exact in a float */
    float number = (float)(uint32_t)joined / FLOAT_POWERS[digits - whole];
    *value = negative ? -number : number;
    *at = now + length;
    return true;
}

/* One number, without what stands around it; *at moves behind it. */
static inline bool number(const uint8_t **at, uint8_t point, float *value) {
    const uint8_t *now = *at;
    bool negative = *now == '-';
    if (*now == '-' || *now == '+') now++;
    uint64_t mantissa = 0;
    int64_t power = 0;
    const uint8_t *begin = now;
    for (; is_digit(*now); now++) mantissa = mantissa * 10 + (*now - '0');
    int64_t digits = now - begin;
    if (*now == point) {
        const uint8_t *decimals = ++now;
        for (; is_digit(*now); now++) mantissa = mantissa * 10 + (*now - '0');
        power = decimals - now;
        digits -= power;
    }
    if (digits == 0 || digits > MOST_DIGITS) return false;
    if ((*now == 'e' || *now == 'E') && !exponent(&now, &power)) return false;
    if (!nearest(mantissa, power, value)) return false;
    if (negative) *value = -*value;
    *at = now;
    return true;
}

/* One cell that is a number, maybe between spaces or quotes; *at moves to its end. */
static inline bool cell(const uint8_t **at, const uint8_t *end, const Shape *shape, float *value) {
    const uint8_t *now = *at;
    if (short_cell(at, end, shape, value)) return true;
    bool quoted = *now == '"';
    now += quoted;
    while (*now == ' ') now++;
    if (!number(&now, shape->point, value)) return false;
    while (*now == ' ') now++;
    if (quoted && *now++ != '"') return false;
    if (*now != shape->delimiter && *now != '\n') return false;
    *at = now;
    return true;
}

static const uint8_t *end_of_line(const uint8_t *at) {
    while (*at != '\n') at++;
    return at;
}

static bool is_blank(const uint8_t *line) {
    while (*line == ' ') line++;
    return *line == '\n';
}

/* One line into its row. False where its cells cannot be told apart, or are not as many as the file's columns. */
static inline bool row(const uint8_t *data, const uint8_t *end, const uint8_t **at, const Shape *shape, Found *found) {
    const uint8_t *now = *at;
    float *x = found->x + found->rows * shape->width;
    for (int64_t column = 0; column < shape->columns; column++) {
        int32_t feature = shape->feature_of[column];
        const uint8_t *begin = now;
        if (feature < 0 || !cell(&now, end, shape, &x[feature])) {
            if (*begin == '"') return false;
            while (*now != shape->delimiter && *now != '\n') now++;
            if (feature == ID) {
                found->id[2 * found->rows] = begin - data;
                found->id[2 * found->rows + 1] = now - data;
            } else if (feature != SKIPPED) {
                if (found->doubt_count == shape->most_doubts) return false;
                found->doubts[found->doubt_count++] = (Doubt){found->rows, feature, begin - data, now - data};
            }
        }
        bool is_last = column == shape->columns - 1;
        if ((*now == '\n') != is_last) return false;
        now++;
    }
    *at = now;
    return true;
}

/* Returns whether all lines have found their place; then rows + doubtful lines are the lines that are not blank. */
bool read_rows(const uint8_t *data, int64_t size, const Shape *given, Found *found) {
    const Shape local = *given, *shape = &local; /* nothing that is written can change it */
    const uint8_t *at = data, *end = data + size;
    for (; at < end; found->lines++) {
        if ((*at == ' ' || *at == '\n') && is_blank(at)) {
            at = end_of_line(at) + 1;
            continue;
        }
        if (found->rows == shape->most_rows) return false;
        int64_t doubts_before = found->doubt_count;
        const uint8_t *begin = at;
        if (!row(data, end, &at, shape, found)) {
            if (doubts_before == shape->most_doubts) return false;
            at = end_of_line(begin);
            found->doubt_count = doubts_before;
            found->doubts[found->doubt_count++] = (Doubt){found->rows, LINE, begin - data, at - data};
            at++;
        }
        found->line[found->rows++] = found->lines;
    }
    return true;
}
