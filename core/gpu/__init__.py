"""What the cards and the host hold right now, staying inside a budget of GPU memory, and giving cached memory back.

records.py  the values, frozen            nvml.py    the one seam to the NVIDIA driver
host.py     this process and the machine  torch_view.py  what PyTorch holds, never starting CUDA
reading.py  asks value by value           cards.py, card_load.py, card_health.py  one reading of every card
visible.py  CUDA's numbers of the cards   driver_session.py  begins the driver once and lets it go
monitor.py  one sampler thread with its history; watch.py, peak_ledger.py, peaks.py  the most of a job, of a process
flush.py    the manual flush              tenant.py  settles on a device: card, profile, governor
profiles.py what suits which card         governor.py the budget: predict, split, shrink, trim
cost.py     what a batch takes            meter.py, torch_meter.py  the governor's view of a device
"""
