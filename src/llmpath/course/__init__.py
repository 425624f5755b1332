"""What is taught, as frozen values: where a course is, and loading one from its files.

Nothing is imported here, so that a part of this package costs only itself:
`llmpath.course.loader.load`, `llmpath.course.locate.locate`,
`llmpath.course.solution.starter`.
"""
