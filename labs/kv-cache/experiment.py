def experiment(lab, run): run.result("x")
