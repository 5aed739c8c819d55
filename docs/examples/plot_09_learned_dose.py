"""
A dose for each patient
=======================

The dose module of the package looks at a scout, two views of little dose, and answers with photons for every slice
and view.
"""

import taskct
from taskct.evaluation.subject import Subject
from taskct.systems.alara.learned import load_strategy

# %%
# Load it, and draw patients of the kind that it was trained for, but of another seed.
strategy = load_strategy("abdomen-dose")
A = taskct.Projector(strategy.grid, strategy.beam)
cohort = taskct.Cohort(
    "abdomen", {"test": 3}, seed=7, shape=strategy.grid.shape, spacing_mm=strategy.grid.spacing_mm, slices_per_patient=2
)
cases = [cohort.patient(n).case for n in cohort.numbers("test")]
subjects = [Subject.of_case(case, [0, 1], A, mu=case.mu, p=A(case.mu)) for case in cases]
taskct.show({subject.patient_id: subject.mu[:1] for subject in subjects})

# %%
# The advice: mean photons, and how far the patient is from those of the training. Beyond the limit it gives the fixed
# dose and says why.
advice = {subject.patient_id: strategy.advise(subject) for subject in subjects}
for name, one in advice.items():
    print(f"{name}: {one.text}; expected {strategy.target.key.replace('_', ' ')} {one.forecast:.1f}")

# %%
# The course over the views of the first slice: more where rays pass along the long side of the body.
taskct.show({name: one.photons[0] for name, one in advice.items()}, axes=("view", "photons per detector pixel"))

# %%
# Whether that saves dose is a question of its own, answered on many patients at one quality: ``taskct demo dose`` does
# it in two minutes, and :doc:`/dose-optimisation` has the tables.
