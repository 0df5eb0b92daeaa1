-- expect: check: 
LJfunction step(self) end
