// The scanner as the Python side states it, and each view in the index coordinates of the grid.
//
// Everything here is double precision and world order z, y, x; a 2D grid has shape (1, Y, X) and uses axes 1 and 2 only.
// The formulae are those of taskct/physics/backends/rays.py, which the tests hold as the reference.
#pragma once

#include <cstdint>
#include <vector>

extern "C" struct taskct_geometry {
    int64_t dim;           // 2 or 3
    int64_t shape[3];      // z, y, x
    double spacing[3];     // mm
    double origin[3];      // mm
    int64_t views, rows, cols;
    const double *detector, *col_step, *row_step;  // (views, 3), mm
    const double *source;                          // (views, 3), or null for parallel rays
    const double *direction;                       // (views, 3), or null for divergent rays
    int64_t curved;
    double curved_offset_rad;
    int64_t quads;              // how many sets of four views share their rays; 0 when views stand alone (quads.h)
    const int64_t *quad_views;  // (quads, 4), the lead first, -1 where there is none
    const uint8_t *quad_backwards;  // (quads, 4): its detector runs the other way
    int64_t turns[4];              // of the image in each lane
    int64_t halves;                // whether half a detector's rays are those of the other half (quads.h)
};

namespace taskct {

using Geometry = taskct_geometry;

constexpr double kTie = 1e-9;  // a ray this close to a diagonal takes the earlier axis

// cos and sin of the fan angle of each column; views of one beam share them.
struct FanTable {
    double gamma_step = -1.0;
    std::vector<double> cosine, sine;
};

// One ray in index coordinates: it steps through the planes of `axis`, meeting plane r at first + step * r along the two
// other axes (in array order), and carries `weight` mm per plane.
struct Ray {
    int axis;
    double first[2], step[2];
    double weight;
};

// One view: its rays, and where grid points fall on its detector.
class View {
public:
    View(const Geometry &geometry, int64_t view, FanTable &table);

    // Point on the ray of pixel (row, col) and its direction, mm.
    void line(int64_t row, int64_t col, double point[3], double direction[3]) const;

    // y and x of points and directions of the first n columns of the middle row (of any row, when the rows step along z only).
    void lines(int64_t n, double *point_y, double *point_x, double *direction_y, double *direction_x) const;

    // The ray of pixel (row, col); a ray within 1e-9 of a diagonal takes the earlier axis.
    Ray ray(int64_t row, int64_t col) const;

    // Fractional row and column where the grid point (z, y, x), in samples, falls; weight 1, U^-2 or L^-2.
    struct Landing {
        double row, col, weight;
    };
    Landing land(double z, double y, double x) const;

    // A linear function of the grid indices z, y, x.
    struct Linear {
        double z, y, x, constant;
        double operator()(double iz, double iy, double ix) const { return z * iz + y * iy + x * ix + constant; }
    };
    // Flat detectors: row = row_top / depth, col = col_top / depth (depth is 1 for parallel rays).
    // Curved: depth and across are the coordinates in the plane of the fan, rise the height over the source.
    Linear row_top, col_top, depth, across, rise;
    double focal = 0;  // flat: depth of the detector
    double radius = 0, height = 0, row_mm = 0, gamma_step = 0;

private:
    const Geometry &g_;
    const FanTable *table_;
    double detector_[3], col_[3], row_[3], source_[3], direction_[3];
    double ray_hat_[3], col_hat_[3], row_hat_[3];

    Linear linear(const double v[3], double constant) const;  // p -> v . p + constant, of grid indices
};

}  // namespace taskct
