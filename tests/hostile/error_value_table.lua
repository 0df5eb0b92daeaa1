-- expect: error: <table>
error({code = 1})
