// boost.cpp: Boost.odeint, Dormand-Prince 5(4) with controlled steps; sizes known to the compiler.
#include "problems.h"

#include <array>
#include <boost/numeric/odeint.hpp>

namespace odeint = boost::numeric::odeint;

template <int N, void Field(const double *, double *)> static long solve(const Problem &p, double *u, double tolerance)
{
    using State = std::array<double, N>;
    State x;
    long evaluations = 0;
    std::copy(u, u + N, x.begin());
    auto field = [&evaluations](const State &z, State &k, double) {
        evaluations++;
        Field(z.data(), k.data());
    };
    auto method = odeint::make_controlled(tolerance, tolerance, odeint::runge_kutta_dopri5<State>());
    odeint::integrate_adaptive(method, field, x, 0.0, p.end, 1e-3);
    std::copy(x.begin(), x.end(), u);
    return evaluations;
}

static long solve_one(int which, double *u, double tolerance)
{
    const Problem &p = problem_list[which];
    switch (which) {
    case 0: return solve<3, lorenz>(p, u, tolerance);
    case 1: return solve<2, vanderpol>(p, u, tolerance);
    default: return solve<28, pleiades>(p, u, tolerance);
    }
}

int main(int argc, char **argv)
{
    return run_peer(argc, argv, solve_one);
}
