#include "geometry.h"

#include <algorithm>
#include <cmath>

namespace taskct {
namespace {

double dot(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

double norm(const double a[3]) { return std::sqrt(dot(a, a)); }

double first_gamma_step(const Geometry &g) {
    double along[3], height = 0;
    const double row_mm = norm(g.row_step);
    for (int a = 0; a < 3; a++) {
        along[a] = g.detector[a] - g.source[a];
        height += along[a] * g.row_step[a] / row_mm;
    }
    for (int a = 0; a < 3; a++) along[a] -= height * g.row_step[a] / row_mm;
    return norm(g.col_step) / norm(along);
}

// Views of one beam differ in the last bits of the step only: the first one's table serves them all, whichever a thread meets first.
void fill(FanTable &table, const Geometry &g, double gamma_step, double offset_rad, int64_t cols) {
    const double first = first_gamma_step(g);
    if (std::fabs(first - gamma_step) <= 1e-15 * gamma_step) gamma_step = first;
    if (table.gamma_step == gamma_step) return;
    table.gamma_step = gamma_step;
    table.cosine.resize(cols);
    table.sine.resize(cols);
    for (int64_t j = 0; j < cols; j++) {
        const double gamma = offset_rad + (j - (cols - 1) / 2.0) * gamma_step;
        table.cosine[j] = std::cos(gamma);
        table.sine[j] = std::sin(gamma);
    }
}

}  // namespace

View::View(const Geometry &geometry, int64_t view, FanTable &table) : g_(geometry), table_(&table) {
    const bool parallel = geometry.source == nullptr;
    double to_detector[3];
    for (int a = 0; a < 3; a++) {
        detector_[a] = geometry.detector[3 * view + a];
        col_[a] = geometry.col_step[3 * view + a];
        row_[a] = geometry.row_step[3 * view + a];
        source_[a] = parallel ? 0.0 : geometry.source[3 * view + a];
        direction_[a] = parallel ? geometry.direction[3 * view + a] : 0.0;
        to_detector[a] = detector_[a] - source_[a];
    }
    const double mid_row = (geometry.rows - 1) / 2.0, mid_col = (geometry.cols - 1) / 2.0;

    if (geometry.curved) {
        row_mm = norm(row_);
        for (int a = 0; a < 3; a++) row_hat_[a] = row_[a] / row_mm;
        height = dot(to_detector, row_hat_);
        for (int a = 0; a < 3; a++) ray_hat_[a] = to_detector[a] - height * row_hat_[a];
        radius = norm(ray_hat_);
        const double col_mm = norm(col_);
        for (int a = 0; a < 3; a++) {
            ray_hat_[a] /= radius;
            col_hat_[a] = col_[a] / col_mm;
        }
        gamma_step = col_mm / radius;
        fill(table, geometry, gamma_step, geometry.curved_offset_rad, geometry.cols);
        depth = linear(ray_hat_, -dot(ray_hat_, source_));
        across = linear(col_hat_, -dot(col_hat_, source_));
        rise = linear(row_hat_, -dot(row_hat_, source_));
        return;
    }

    // A point of the detector plane is detector + i * row + j * col; dual vectors give i and j.
    const double rr = dot(row_, row_), cc = dot(col_, col_), rc = dot(row_, col_), det = rr * cc - rc * rc;
    double to_row[3], to_col[3], normal[3];
    for (int a = 0; a < 3; a++) {
        to_row[a] = (row_[a] * cc - col_[a] * rc) / det;
        to_col[a] = (col_[a] * rr - row_[a] * rc) / det;
        const int b = (a + 1) % 3, c = (a + 2) % 3;
        normal[a] = row_[b] * col_[c] - row_[c] * col_[b];
    }
    const double length = norm(normal);
    for (double &n : normal) n /= length;
    double i[3], j[3];
    if (parallel) {
        // hit = p - detector - ((p - detector) . normal) / (direction . normal) * direction
        const double slant = dot(direction_, normal);
        const double i_ray = dot(direction_, to_row) / slant, j_ray = dot(direction_, to_col) / slant;
        for (int a = 0; a < 3; a++) {
            i[a] = to_row[a] - i_ray * normal[a];
            j[a] = to_col[a] - j_ray * normal[a];
        }
        row_top = linear(i, mid_row - dot(i, detector_));
        col_top = linear(j, mid_col - dot(j, detector_));
        depth = {0, 0, 0, 1};
        return;
    }
    // hit = (p - source) * focal / depth - (detector - source)
    focal = dot(to_detector, normal);
    const double i_shift = mid_row - dot(to_detector, to_row), j_shift = mid_col - dot(to_detector, to_col);
    for (int a = 0; a < 3; a++) {
        i[a] = focal * to_row[a] + i_shift * normal[a];
        j[a] = focal * to_col[a] + j_shift * normal[a];
    }
    row_top = linear(i, -dot(i, source_));
    col_top = linear(j, -dot(j, source_));
    depth = linear(normal, -dot(normal, source_));
}

View::Linear View::linear(const double v[3], double constant) const {
    return {v[0] * g_.spacing[0], v[1] * g_.spacing[1], v[2] * g_.spacing[2], constant + dot(v, g_.origin)};
}

void View::line(int64_t row, int64_t col, double point[3], double direction[3]) const {
    const double i = row - (g_.rows - 1) / 2.0, j = col - (g_.cols - 1) / 2.0;
    if (g_.curved) {
        for (int a = 0; a < 3; a++) {
            point[a] = source_[a];
            direction[a] = radius * (table_->cosine[col] * ray_hat_[a] + table_->sine[col] * col_hat_[a]) +
                           height * row_hat_[a] + i * row_[a];
        }
        return;
    }
    for (int a = 0; a < 3; a++) {
        const double pixel = detector_[a] + i * row_[a] + j * col_[a];
        point[a] = g_.source ? source_[a] : pixel;
        direction[a] = g_.source ? pixel - source_[a] : direction_[a];
    }
}

void View::lines(int64_t n, double *point_y, double *point_x, double *direction_y, double *direction_x) const {
    for (int a = 1; a < 3; a++) {
        double *point = a == 1 ? point_y : point_x, *direction = a == 1 ? direction_y : direction_x;
        const double mid = (g_.cols - 1) / 2.0, centre = detector_[a], step = col_[a], from = source_[a];
        if (g_.curved) {
            const double along = radius * ray_hat_[a], aside = radius * col_hat_[a], up = height * row_hat_[a];
            const double *cosine = table_->cosine.data(), *sine = table_->sine.data();
            for (int64_t j = 0; j < n; j++) {
                point[j] = from;
                direction[j] = cosine[j] * along + sine[j] * aside + up;
            }
        } else if (g_.source) {
            for (int64_t j = 0; j < n; j++) {
                point[j] = from;
                direction[j] = centre + (j - mid) * step - from;
            }
        } else {
            for (int64_t j = 0; j < n; j++) {
                point[j] = centre + (j - mid) * step;
                direction[j] = direction_[a];
            }
        }
    }
}

Ray View::ray(int64_t row, int64_t col) const {
    const int lowest = g_.dim == 2 ? 1 : 0;
    double point[3], direction[3], start[3], slope[3];
    line(row, col, point, direction);
    double most = 0;
    for (int a = lowest; a < 3; a++) {
        start[a] = (point[a] - g_.origin[a]) / g_.spacing[a];
        slope[a] = direction[a] / g_.spacing[a];
        most = std::max(most, std::fabs(slope[a]));
    }
    Ray ray;
    ray.axis = lowest;
    while (std::fabs(slope[ray.axis]) < most * (1 - kTie)) ray.axis++;
    ray.first[0] = ray.step[0] = 0;
    int at = g_.dim == 2 ? 1 : 0;
    for (int a = lowest; a < 3; a++) {
        if (a == ray.axis) continue;
        ray.step[at] = slope[a] / slope[ray.axis];
        ray.first[at] = start[a] - start[ray.axis] * ray.step[at];
        at++;
    }
    ray.weight = norm(direction) / std::fabs(slope[ray.axis]);
    return ray;
}

View::Landing View::land(double z, double y, double x) const {
    const double mid_row = (g_.rows - 1) / 2.0, mid_col = (g_.cols - 1) / 2.0;
    const double u = depth(z, y, x);
    if (g_.curved) {
        const double t = across(z, y, x), distance = std::sqrt(u * u + t * t);
        const double gamma = std::atan2(t, u) - g_.curved_offset_rad;
        return {(rise(z, y, x) * radius / distance - height) / row_mm + mid_row, gamma / gamma_step + mid_col,
                1 / (distance * distance)};
    }
    return {row_top(z, y, x) / u, col_top(z, y, x) / u, g_.source ? 1 / (u * u) : 1.0};
}

}  // namespace taskct
