// Gradients of products and decompositions of matrices.

#include "base/errors.h"
#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

Output adjoint(const Output& x) {
  return op("ConjugateTranspose",
            {x, concat({range(make_scalar<std::int32_t>(0), op("Sub", {rank_of(x), 2})),
                        pack({op("Sub", {rank_of(x), 1}), op("Sub", {rank_of(x), 2})})})});
}

// The two products that a product's gradient is made of; what is transposed moves over.
template <class Product>
Gradients product_gradient(const Output& a, const Output& b, const Output& dy, bool ta, bool tb,
                           Product&& product) {
  const Output da = ta ? product(b, dy, tb, true) : product(dy, b, false, !tb);
  const Output db = tb ? product(dy, a, true, ta) : product(a, dy, !ta, false);
  return {da, db};
}

Gradients mat_mul(GradientContext& c) {
  return product_gradient(conj(c.input(0)), conj(c.input(1)), c.dy(), c.attr<bool>("transpose_a"),
                          c.attr<bool>("transpose_b"),
                          [](const Output& x, const Output& y, bool tx, bool ty) {
                            return op("MatMul", {x, y}, {{"transpose_a", tx}, {"transpose_b", ty}});
                          });
}

Gradients sparse_mat_mul(GradientContext& c) {
  const auto product = [](const Output& x, const Output& y, bool tx, bool ty) {
    const Output right = ty ? transpose(y, ints({1, 0})) : y;
    return op("SparseMatMul", {x, right}, {{"transpose_a", tx}});
  };
  Gradients result = product_gradient(c.input(0), c.input(1), c.dy(), c.attr<bool>("transpose_a"),
                                      c.attr<bool>("transpose_b"), product);
  return {cast(result[0], c.dtype(0)), cast(result[1], c.dtype(1))};
}

Gradients batch_products(GradientContext& c) {
  return product_gradient(c.input(0), c.input(1), c.dy(), c.attr<bool>("adj_x"),
                          c.attr<bool>("adj_y"), matmul);
}

// Sums over the batch axes along which an operand was repeated.
Gradients unbroadcast_batches(const Output& x, const Output& y, Gradients dxy) {
  const Output sx = shape_of(x);
  const Output sy = shape_of(y);
  const Operation axes =
      x.graph().op("BroadcastGradientArgs", {slice(sx, 0, -2), slice(sy, 0, -2)});
  return {reshape(sum(dxy[0], axes.output(0)), sx), reshape(sum(dxy[1], axes.output(1)), sy)};
}

Gradients batch_mat_mul_v2(GradientContext& c) {
  const PartialShape& x = c.shape(0);
  const PartialShape& y = c.shape(1);
  Gradients result = batch_products(c);
  if (x.has_rank() && y.has_rank() && x.rank() == 2 && y.rank() == 2) return result;
  bool equal = x.has_rank() && y.has_rank() && x.rank() == y.rank();
  for (int i = 0; equal && i + 2 < x.rank(); ++i) equal = x.dim(i) >= 0 && x.dim(i) == y.dim(i);
  if (equal) return result;
  return unbroadcast_batches(c.input(0), c.input(1), std::move(result));
}

Gradients diag(GradientContext& c) { return {op("DiagPart", {c.dy()})}; }
Gradients diag_part(GradientContext& c) { return {op("Diag", {c.dy()})}; }

Output diagonal(const Output& x) { return op("MatrixDiagPart", {x}); }
Output set_diagonal(const Output& x, const Output& values) {
  return op("MatrixSetDiag", {x, values});
}
Output diagonal_matrix(const Output& values) { return op("MatrixDiag", {values}); }
Output lower(const Output& x) {
  return op("MatrixBandPart", {x, make_scalar<std::int64_t>(-1), make_scalar<std::int64_t>(0)});
}
Output upper(const Output& x) {
  return op("MatrixBandPart", {x, make_scalar<std::int64_t>(0), make_scalar<std::int64_t>(-1)});
}

Gradients matrix_diag(GradientContext& c) { return {diagonal(c.dy())}; }
Gradients matrix_diag_part(GradientContext& c) {
  return {set_diagonal(zeros_like(c.input(0)), c.dy())};
}
Gradients matrix_set_diag(GradientContext& c) {
  return {set_diagonal(c.dy(), zeros_like(c.input(1))), diagonal(c.dy())};
}

// Versions 2 and 3: bands, and (3) how shorter diagonals are put.
Output band(GradientContext& c, const Output& x, const Output& k) {
  const bool v3 = c.node().op_name.ends_with("V3");
  return op(v3 ? "MatrixDiagPartV3" : "MatrixDiagPartV2", {x, k, make_scalar_of(x.dtype(), 0.0)},
            c.attrs({"align"}));
}
Output set_band(GradientContext& c, const Output& x, const Output& values, const Output& k) {
  const bool v3 = c.node().op_name.ends_with("V3");
  return op(v3 ? "MatrixSetDiagV3" : "MatrixSetDiagV2", {x, values, k}, c.attrs({"align"}));
}
Gradients bands_diag(GradientContext& c) { return c.pad({band(c, c.dy(), c.input(1))}); }
Gradients bands_diag_part(GradientContext& c) {
  return c.pad({set_band(c, zeros_like(c.input(0)), c.dy(), c.input(1))});
}
Gradients bands_set_diag(GradientContext& c) {
  return {set_band(c, c.dy(), zeros_like(c.input(1)), c.input(2)), band(c, c.dy(), c.input(2)), {}};
}

Gradients band_part(GradientContext& c) {
  return {op("MatrixBandPart", {c.dy(), c.input(1), c.input(2)}), {}, {}};
}

Gradients cross(GradientContext& c) {
  return {op("Cross", {c.input(1), c.dy()}), op("Cross", {c.dy(), c.input(0)})};
}

Gradients inverse(GradientContext& c) {
  const bool is_adjoint = c.attr<bool>("adjoint");
  const Output y = c.output();
  return {-matmul(y, matmul(c.dy(), y, is_adjoint, !is_adjoint), !is_adjoint)};
}

Output inverse_adjoint(const Output& a) { return op("MatrixInverse", {a}, {{"adjoint", true}}); }
Output as_factor(const Output& x) { return expand(expand(x, -1), -1); }

Gradients determinant(GradientContext& c) {
  return {as_factor(c.dy() * c.output()) * inverse_adjoint(c.input(0))};
}
Gradients log_determinant(GradientContext& c) {
  return {as_factor(c.dy(1)) * inverse_adjoint(c.input(0))};
}

// Identity matrices, one for each matrix of `like`.
Output identities(const Output& like) {
  return set_diagonal(zeros_like(like), ones_like(diagonal(like)));
}

Gradients cholesky(GradientContext& c) {
  const Output l = c.output();
  const Output l_inverse = op("MatrixTriangularSolve", {l, identities(l)});
  Output middle = matmul(l, c.dy(), true);
  middle = lower(set_diagonal(middle, 0.5 * diagonal(middle)));
  const Output half = matmul(matmul(l_inverse, middle, true), l_inverse);
  return {(half + adjoint(half)) * 0.5};
}

Gradients solve(GradientContext& c) {
  const bool is_adjoint = c.attr<bool>("adjoint");
  const Output db = op("MatrixSolve", {c.input(0), c.dy()}, {{"adjoint", !is_adjoint}});
  const Output x = c.output();
  return {is_adjoint ? -matmul(x, db, false, true) : -matmul(db, x, false, true), db};
}

Gradients triangular_solve(GradientContext& c) {
  const bool is_adjoint = c.attr<bool>("adjoint");
  const bool is_lower = c.attr<bool>("lower");
  const Output x = c.output();
  const Output db = op("MatrixTriangularSolve", {c.input(0), c.dy()},
                       {{"adjoint", !is_adjoint}, {"lower", is_lower}});
  const Output full = is_adjoint ? -matmul(x, db, false, true) : -matmul(db, x, false, true);
  return unbroadcast_batches(c.input(0), c.input(1), {is_lower ? lower(full) : upper(full), db});
}

Output cholesky_solve(const Output& factor, const Output& b) {
  const Output y = op("MatrixTriangularSolve", {factor, b});
  return op("MatrixTriangularSolve", {factor, y}, {{"adjoint", true}});
}

Gradients solve_ls(GradientContext& c) {
  if (!c.attr<bool>("fast"))
    throw unimplemented("MatrixSolveLs: it has a gradient only where `fast` is true.");
  const Output a = c.input(0);
  const Output b = c.input(1);
  const PartialShape& shape = c.shape(0);
  if (!shape.has_rank() || shape.dim(shape.rank() - 1) < 0 || shape.dim(shape.rank() - 2) < 0)
    throw unimplemented("MatrixSolveLs: its gradient needs the shape of the matrices.");
  const bool is_deep = shape.dim(shape.rank() - 2) >= shape.dim(shape.rank() - 1);
  const Output gram = is_deep ? matmul(a, a, true) : matmul(a, a, false, true);
  const Output weight = op("Cast", {c.input(2)}, {{"DstT", a.dtype()}});
  const Output factor = op("Cholesky", {set_diagonal(gram, diagonal(gram) + weight)});
  if (is_deep) {
    const Output z = cholesky_solve(factor, c.dy());
    const Output xz = matmul(c.output(), z, false, true);
    const Output both = xz + adjoint(xz);
    return {matmul(b, z, false, true) - matmul(a, both), matmul(a, z), {}};
  }
  const Output db = cholesky_solve(factor, matmul(a, c.dy()));
  const Output tmp = cholesky_solve(factor, b);
  const Output first = -matmul(db, matmul(tmp, a, true));
  const Output second = matmul(tmp, c.dy() - matmul(a, db, true), false, true);
  return {first + second, db, {}};
}

Output safe_inverse(const Output& x) { return x * op("Reciprocal", {x * x + 1e-20}); }

Output inverse_differences(const Output& e) {
  return set_diagonal(safe_inverse(expand(e, -2) - expand(e, -1)), zeros_like(e));
}

Gradients self_adjoint_eig(GradientContext& c) {
  const bool has_v = c.attr<bool>("compute_v");
  const Output v = has_v ? c.output(1) : c.many("SelfAdjointEigV2", {c.input(0)}).output(1);
  Output middle = diagonal_matrix(c.dy(0));
  if (has_v) {
    // The eigenvalues have the vectors' dtype.
    middle = middle + inverse_differences(c.output(0)) * matmul(v, c.dy(1), true);
  }
  const Output full = matmul(v, matmul(middle, v, false, true));
  const Output half = lower(full + adjoint(full));
  return {set_diagonal(half, 0.5 * diagonal(half))};
}

// x[..., :, begin:end]; an end of 0 is the end.
Output columns(const Output& x, std::int64_t begin, std::int64_t end) {
  return op("StridedSlice",
            {x, ints({0, static_cast<std::int32_t>(begin)}),
             ints({0, static_cast<std::int32_t>(end)}), ints({1, 1})},
            {{"ellipsis_mask", 1}, {"end_mask", end == 0 ? 2 : 0}});
}

Output solve_upper(const Output& x, const Output& r) {
  return adjoint(op("MatrixTriangularSolve", {r, adjoint(x)}, {{"lower", false}}));
}

Output qr_square_or_deep(const Output& q, const Output& r, const Output& dq, const Output& dr) {
  const Output qdq = matmul(q, dq, true);
  const Output rdr = matmul(r, dr, false, true);
  const Output below = lower((qdq - adjoint(qdq)) + (rdr - adjoint(rdr)));
  Output result = matmul(q, dr + solve_upper(below, r)) + solve_upper(dq - matmul(q, qdq), r);
  if (is_complex(q.dtype())) {
    const Output m = rdr - adjoint(qdq);
    const Output eye = set_diagonal(zeros_like(m), diagonal(m));
    const Output real = op("Real", {eye}, {{"Tout", real_dtype(q.dtype())}});
    const Output correction = eye - cast(real, q.dtype());
    result = result + solve_upper(matmul(q, adjoint(correction)), r);
  }
  return result;
}

Gradients qr(GradientContext& c) {
  const Output q = c.output(0);
  const Output r = c.output(1);
  const auto last = [](const PartialShape& s, int back) {
    return s.has_rank() ? s.dim(s.rank() - back) : -1;
  };
  const std::int64_t r_rows = last(r.shape(), 2);
  const std::int64_t r_columns = last(r.shape(), 1);
  const std::int64_t rows = last(q.shape(), 2);
  if (r_rows < 0 || r_columns < 0 || rows < 0)
    throw unimplemented("Qr: its gradient needs the shape of the matrices.");
  if (r_rows > r_columns && rows == last(q.shape(), 1)) {
    throw unimplemented(
        "Qr: with full_matrices it has no gradient where there are more rows than "
        "columns.");
  }
  if (rows >= r_columns) return {qr_square_or_deep(q, r, c.dy(0), c.dy(1))};
  const Output y = columns(c.input(0), rows, 0);
  const Output dv = columns(c.dy(1), rows, 0);
  const Output dx = qr_square_or_deep(q, columns(r, 0, rows), c.dy(0) + matmul(y, dv, false, true),
                                      columns(c.dy(1), 0, rows));
  return {concat({dx, matmul(q, dv)}, -1)};
}

Output svd_with_vectors(GradientContext& c, const Output& ds) {
  const PartialShape& shape = c.shape(0);
  if (!shape.has_rank() || shape.dim(shape.rank() - 1) < 0 || shape.dim(shape.rank() - 2) < 0)
    throw unimplemented("Svd: its gradient needs the shape of the matrices.");
  std::int64_t m = shape.dim(shape.rank() - 2);
  std::int64_t n = shape.dim(shape.rank() - 1);
  Output u = c.output(1);
  Output v = c.output(2);
  Output du = c.dy(1);
  Output dv = c.dy(2);
  const bool is_deep = m > n;
  if (is_deep) {
    std::swap(m, n);
    std::swap(u, v);
    std::swap(du, dv);
  }
  const bool is_full = c.attr<bool>("full_matrices");
  if (is_full && n - m > 1) {
    throw unimplemented(
        "Svd: with full_matrices it has a gradient only where rows and columns "
        "differ by one at most.");
  }
  const Output s = cast(c.output(0), c.dtype(0));
  const Output s_matrix = diagonal_matrix(s);
  const Output f = inverse_differences(square(s));
  const Output s_inverse = diagonal_matrix(safe_inverse(s));
  const Output v1 = columns(v, 0, m);
  const Output dv1 = columns(dv, 0, m);
  const Output v_dv = matmul(v1, dv1, true);
  const Output fu = f * matmul(u, du, true);
  const Output fv = f * v_dv;
  const Output inner =
      diagonal_matrix(ds) + matmul(fu + adjoint(fu), s_matrix) + matmul(s_matrix, fv + adjoint(fv));
  Output result = matmul(u, matmul(inner, v1, false, true));
  if (m != n) {
    const Output gv = adjoint(dv1);
    Output term = gv - matmul(matmul(gv, v1), v1, false, true);
    if (is_full) {
      const Output v1_dv2 = matmul(v1, columns(dv, m, n), true);
      term = term - matmul(v1_dv2, columns(v, m, n), false, true);
    }
    result = result + matmul(matmul(u, s_inverse), term);
  }
  if (is_complex(c.dtype(0))) {
    const Output l = diagonal_matrix(diagonal(v_dv));
    const Output term = matmul(s_inverse, adjoint(l) - l);
    result = result + 0.5 * matmul(u, matmul(term, v1, false, true));
  }
  return is_deep ? adjoint(result) : result;
}

Gradients svd(GradientContext& c) {
  const Output ds = cast(c.dy(0), c.dtype(0));
  if (c.attr<bool>("compute_uv")) return {svd_with_vectors(c, ds)};
  const Operation parts = c.many("Svd", {c.input(0)}, {{"compute_uv", true}});
  return {matmul(parts.output(1), matmul(diagonal_matrix(ds), parts.output(2), false, true))};
}

// x's rows (the last axis but one) moved up, or down; zeros come in.
Output shifted_rows(const Output& x, bool up) {
  const Output part =
      op("StridedSlice", {x, ints({0, up ? 1 : 0, 0}), ints({0, up ? 0 : -1, 0}), ints({1, 1, 1})},
         {{"ellipsis_mask", 1}, {"begin_mask", up ? 4 : 6}, {"end_mask", up ? 6 : 4}});
  const Output zeros =
      filled(pack({op("Sub", {rank_of(x), 2}), make_scalar<std::int32_t>(2)}), DType::kInt32, 0);
  const Tensor last = make_tensor<std::int32_t>(Shape{2, 2}, {up ? 0 : 1, up ? 1 : 0, 0, 0});
  return op("Pad", {part, concat({zeros, last})});
}

Gradients tridiagonal_mat_mul(GradientContext& c) {
  const Output above = adjoint(c.input(0));
  const Output main = adjoint(c.input(1));
  const Output below = adjoint(c.input(2));
  const Output rhs = conj(c.input(3));
  const Output dy = c.dy();
  const auto row = [&](const Output& x) { return expand(sum(x * dy, -1), -2); };
  return {row(shifted_rows(rhs, true)), row(rhs), row(shifted_rows(rhs, false)),
          shifted_rows(above * dy, false) + main * dy + shifted_rows(below * dy, true)};
}

// The k-th of the three diagonals; moved by one where asked for.
Gradients tridiagonal_solve(GradientContext& c) {
  const Output diagonals = c.input(0);
  const auto line = [&](int k) {
    return op("StridedSlice", {diagonals, ints({0, k, 0}), ints({0, k + 1, 0}), ints({1, 1, 1})},
              {{"ellipsis_mask", 1}, {"begin_mask", 4}, {"end_mask", 4}, {"shrink_axis_mask", 2}});
  };
  const auto moved = [&](const Output& x, bool left) {
    return squeeze(shifted_rows(expand(x, -1), left), {-1});
  };
  const Output transposed = pack({moved(line(2), true), line(1), moved(line(0), false)}, -2);
  const Output db = op("TridiagonalSolve", {transposed, c.dy()},
                       c.attrs({"partial_pivoting", "perturb_singular"}));
  const Output x = c.output();
  const auto row = [&](const Output& y) { return sum(db * y, -1); };
  const Output da = -pack({row(shifted_rows(x, true)), row(x), row(shifted_rows(x, false))}, -2);
  return {da, db};
}

// Sylvester's equation by Kronecker products, as TensorFlow does.
Gradients square_root(GradientContext& c) {
  const Output r = c.output();
  const Output shape = shape_of(r);
  const Output order = expand(element(shape, -1), 0);
  const Output batch = slice(shape, 0, -2);
  const Output one = ones_like(order);
  const auto transposed = [](const Output& x) {
    return op("Einsum", {x}, {{"equation", "...ij->...ji"}, {"N", 1}});
  };
  const Output squared = op("Mul", {order, order});
  const auto kronecker = [&](const Output& x, const Output& y) {
    const Output left = reshape(x, concat({batch, order, one, order, one}));
    const Output right = reshape(y, concat({batch, one, order, one, order}));
    return reshape(left * right, concat({batch, squared, squared}));
  };
  const Output eye = identities(r);
  const Output both = kronecker(eye, transposed(r)) + kronecker(r, eye);
  const Output flat = reshape(transposed(c.dy()), concat({batch, squared, one}));
  return {transposed(reshape(op("MatrixSolve", {both, flat}), shape))};
}

constexpr GradientRule kRules[] = {
    {"MatMul", mat_mul},
    {"SparseMatMul", sparse_mat_mul},
    {"BatchMatMul", batch_products},
    {"BatchMatMulV2", batch_mat_mul_v2},
    {"BatchMatMulV3", batch_mat_mul_v2},
    {"Cross", cross},
    {"Diag", diag},
    {"DiagPart", diag_part},
    {"MatrixDiag", matrix_diag},
    {"MatrixDiagV2", bands_diag},
    {"MatrixDiagV3", bands_diag},
    {"MatrixDiagPart", matrix_diag_part},
    {"MatrixDiagPartV2", bands_diag_part},
    {"MatrixDiagPartV3", bands_diag_part},
    {"MatrixSetDiag", matrix_set_diag},
    {"MatrixSetDiagV2", bands_set_diag},
    {"MatrixSetDiagV3", bands_set_diag},
    {"MatrixBandPart", band_part},
    {"MatrixInverse", inverse},
    {"MatrixDeterminant", determinant},
    {"LogMatrixDeterminant", log_determinant},
    {"Cholesky", cholesky},
    {"MatrixSolve", solve},
    {"MatrixTriangularSolve", triangular_solve},
    {"MatrixSolveLs", solve_ls},
    {"SelfAdjointEigV2", self_adjoint_eig},
    {"Qr", qr},
    {"Svd", svd},
    {"MatrixSquareRoot", square_root},
    {"TridiagonalMatMul", tridiagonal_mat_mul},
    {"TridiagonalSolve", tridiagonal_solve},
};

}  // namespace

GradientRules linalg_gradients() { return kRules; }

}  // namespace hub
