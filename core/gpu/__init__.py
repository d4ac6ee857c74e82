"""What the cards and the host hold right now, and giving cached memory back.

records.py  the values, frozen            nvml.py    the one seam to the NVIDIA driver
host.py     this process and the machine  torch_view.py  what PyTorch holds, never starting CUDA
cards.py    one reading of every card     monitor.py one sampler thread with its history
flush.py    the manual flush
"""
